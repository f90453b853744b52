// The radiograph: window, zoom and pan, and the heat map over it.
const viewer = document.querySelector("[data-viewer]");
const stage = viewer.querySelector(".stage");
const plane = viewer.querySelector(".plane");
const radiograph = viewer.querySelector(".radiograph");
const heat = viewer.querySelector(".heat");
const input = (name) => viewer.querySelector(`input[name=${name}]`);
const view = { zoom: 1, x: 0, y: 0 };
const PAN = 40;

function place() {
  view.zoom = Math.min(8, Math.max(1, view.zoom));
  const room = { x: (stage.clientWidth * (view.zoom - 1)) / 2, y: (stage.clientHeight * (view.zoom - 1)) / 2 };
  view.x = Math.min(room.x, Math.max(-room.x, view.x));
  view.y = Math.min(room.y, Math.max(-room.y, view.y));
  plane.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
}

function zoom(factor) {
  view.zoom *= factor;
  view.x *= factor;
  view.y *= factor;
  place();
}

// out = (in - (center - width / 2)) / width, of the grey levels as they are sent.
function applyWindow() {
  const [center, width] = [input("center").value / 100, input("width").value / 100];
  for (const channel of viewer.querySelectorAll("filter [slope]")) {
    channel.setAttribute("slope", 1 / width);
    channel.setAttribute("intercept", (width / 2 - center) / width);
  }
}

function reset() {
  Object.assign(view, { zoom: 1, x: 0, y: 0 });
  place();
  input("center").value = 50;
  input("width").value = 100;
  applyWindow();
}

for (const name of ["center", "width"]) input(name).addEventListener("input", applyWindow);
for (const button of viewer.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => zoom(Number(button.dataset.zoom)));
}
viewer.querySelector("[data-reset]").addEventListener("click", reset);
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && view.zoom === 1 && event.deltaY > 0) return; // the page scrolls on
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
}, { passive: false });
stage.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  stage.focus({ preventScroll: true });
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener("pointermove", (event) => {
  if (!stage.hasPointerCapture(event.pointerId)) return;
  view.x += event.movementX;
  view.y += event.movementY;
  place();
});
stage.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
  if (event.key in steps && view.zoom > 1) {
    view.x += steps[event.key][0];
    view.y += steps[event.key][1];
    place();
  } else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.25 : 0.8);
  else if (event.key === "0") reset();
  else return;
  event.preventDefault();
});

if (heat) {
  const buttons = [...document.querySelectorAll("[data-heat]")];
  // Its picture has a legend beneath, which the overlay cuts off.
  heat.addEventListener("load", () => {
    heat.style.width = `${(100 * heat.naturalWidth) / radiograph.naturalWidth}%`;
    heat.classList.add("loaded");
  });
  const show = (button) => {
    const hides = button.getAttribute("aria-pressed") === "true";
    for (const each of buttons) each.setAttribute("aria-pressed", String(each === button && !hides));
    heat.classList.remove("loaded");
    if (hides) heat.removeAttribute("src");
    else heat.src = button.dataset.heat;
  };
  for (const button of buttons) button.addEventListener("click", () => show(button));
  const strength = () => { heat.style.opacity = input("heat").value / 100; };
  input("heat").addEventListener("input", strength);
  strength();
  const begin = () => show(buttons[0]);
  if (radiograph.complete) begin();
  else radiograph.addEventListener("load", begin, { once: true });
}

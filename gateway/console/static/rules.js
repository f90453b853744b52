// A file is sent to be explained; nothing of it is kept.
const form = document.querySelector("[data-explain]");
const told = document.getElementById("explained");
const picker = form.querySelector("input[type=file]");
const area = form.querySelector(".drop");

function body(files) {
  const data = new FormData();
  const sidecar = files.find((file) => file.name.toLowerCase().endsWith(".json"));
  const image = files.find((file) => file !== sidecar);
  if (sidecar) data.append("metadata", new Blob([sidecar], { type: "application/json" }));
  if (image) data.append("image", image);
  return data;
}

async function explain(files) {
  if (!files.length) return;
  told.textContent = told.dataset.working;
  const asked = new URLSearchParams({ sender: form.elements.sender.value || "anonymous", route: form.elements.route.value });
  try {
    const answer = await fetch(`${form.dataset.explain}?${asked}`, {
      method: "POST",
      body: body(files),
      headers: { "X-CSRF-Token": document.body.dataset.csrf },
    });
    if (answer.status === 401) location.reload();
    if (!answer.ok) {
      const problem = await answer.json();
      told.textContent = [problem.title, problem.detail, ...(problem.errors ?? []).map((each) => each.detail)].join(" ");
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const name = document.createElement("h3");
    name.textContent = files.map((file) => file.name).join(" + ");
    told.replaceChildren(name, ...page.body.childNodes);
    for (const part of told.querySelectorAll("details")) part.open = true;
  } catch {
    told.textContent = told.dataset.lost;
  }
}

picker.addEventListener("change", () => {
  explain([...picker.files]);
  picker.value = "";
});
form.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  area.addEventListener(name, (event) => {
    event.preventDefault();
    area.classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") explain([...event.dataTransfer.files]);
  });
}

// On every page: times of the reader's own zone, lists that follow, and forms for many items.
const REFRESH_MS = 5000;

function localise(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const form = { dateStyle: "medium", timeStyle: "short" };
    time.title = at.toISOString();
    time.textContent = at.toLocaleString(document.documentElement.lang, form);
  }
}

async function refresh(part) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) {
    if (answer.status === 401) location.reload();
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-refresh]");
  if (!fresh || part.contains(document.activeElement)) return;
  localise(fresh);
  if (fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
}

// One request after another, and none while the page is hidden.
async function follow(part) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
    if (document.hidden) continue;
    try {
      await refresh(part);
    } catch {
      // The gateway is away for a moment: the list stays as it was.
    }
  }
}

localise(document);
const live = document.querySelector("[data-refresh]");
if (live) follow(live);

const all = document.querySelector("[data-tick-all]");
if (all) {
  all.addEventListener("change", () => {
    for (const box of all.form.querySelectorAll("input[name=item]")) box.checked = all.checked;
  });
}
for (const button of document.querySelectorAll("[data-confirm]")) {
  button.addEventListener("click", (event) => {
    if (!confirm(button.dataset.confirm)) event.preventDefault();
  });
}

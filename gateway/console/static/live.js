// The last minutes of the gateway: differences of its counters between two looks, kept in this page.
const place = document.querySelector("[data-live]");
const state = document.getElementById("live-state");
const [waiting, lost] = [state.textContent, document.getElementById("live-lost").textContent];
const EVERY_MS = 5000;
const MOST = 120;
const looks = [];
const lines = {};

const total = (outcomes, wanted) =>
  Object.entries(outcomes).reduce((sum, [name, count]) => sum + (wanted(name) ? count : 0), 0);

// Linear within a bucket, as Prometheus' histogram_quantile is.
function quantile(share, before, now) {
  const bounds = Object.keys(now)
    .map((text) => [text === "+Inf" ? Infinity : Number(text), now[text] - (before[text] ?? 0)])
    .sort((a, b) => a[0] - b[0]);
  const all = bounds.length ? bounds[bounds.length - 1][1] : 0;
  if (!all) return null;
  let [low, below] = [0, 0];
  for (const [bound, count] of bounds) {
    if (count >= share * all) {
      if (bound === Infinity) return low;
      return low + ((bound - low) * (share * all - below)) / (count - below || 1);
    }
    [low, below] = [bound, count];
  }
  return low;
}

function show(name, value, digits) {
  const line = (lines[name] ??= []);
  line.push(value ?? 0);
  if (line.length > MOST) line.shift();
  const most = Math.max(...line, 1e-9);
  const points = line.map((each, at) => `${(100 * at) / Math.max(1, line.length - 1)},${23 - (22 * each) / most}`);
  place.querySelector(`[data-line=${name}]`).setAttribute("points", points.join(" "));
  const format = new Intl.NumberFormat(place.dataset.language, { maximumFractionDigits: digits });
  place.querySelector(`[data-number=${name}]`).textContent = value === null ? "–" : format.format(value);
}

function look(numbers) {
  looks.push({ at: performance.now(), ...numbers });
  if (looks.length > 13) looks.shift(); // a minute
  const [before, now] = [looks[0], looks[looks.length - 1]];
  const minutes = (now.at - before.at) / 60000;
  const failed = (name) => name.endsWith("Error");
  const errors = (each) => total(each.outcomes, failed) + each.rejected;
  if (minutes > 0) {
    show("rate", (total(now.outcomes, () => true) - total(before.outcomes, () => true)) / minutes, 1);
    show("errors", (errors(now) - errors(before)) / minutes, 1);
    show("median", quantile(0.5, before.seconds, now.seconds), 2);
    show("slow", quantile(0.95, before.seconds, now.seconds), 2);
  }
  for (const name of ["in_flight", "pending", "waiting", "parked"]) show(name, now[name], 0);
  state.textContent = minutes > 0 ? "" : waiting;
}

async function follow() {
  for (;;) {
    if (!document.hidden) {
      try {
        const answer = await fetch(place.dataset.live);
        if (answer.status === 401) location.reload();
        look(await answer.json());
      } catch {
        state.textContent = lost;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

follow();

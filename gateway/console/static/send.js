// Sends dropped files, one study after another: a sidecar goes with the picture of its name.
const place = document.getElementById("send");
const list = document.getElementById("sent");
const texts = place.dataset;
const DICOM_PREAMBLE = 128;

async function filesOf(items) {
  const found = [];
  async function walk(entry) {
    if (entry.isFile) found.push(await new Promise((done, fail) => entry.file(done, fail)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((done, fail) => reader.readEntries(done, fail));
        if (!some.length) break;
        for (const each of some) await walk(each);
      }
    }
  }
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  for (const entry of entries) await walk(entry);
  return found;
}

const stem = (name) => name.replace(/\.[^.]*$/, "");

function studiesOf(files) {
  const sidecars = new Map();
  for (const file of files) if (/\.json$/i.test(file.name)) sidecars.set(stem(file.name), file);
  const studies = [];
  for (const file of files) {
    if (/\.json$/i.test(file.name)) continue;
    studies.push({ file, sidecar: sidecars.get(stem(file.name)) });
    sidecars.delete(stem(file.name));
  }
  for (const file of sidecars.values()) studies.push({ sidecar: file });
  return studies;
}

async function digestOf(file) {
  if (!crypto.subtle) return crypto.getRandomValues(new Uint8Array(8));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
}

async function metadataOf({ file, sidecar }) {
  let metadata = {};
  const head = await file.slice(DICOM_PREAMBLE, DICOM_PREAMBLE + 4).text();
  if (head !== "DICM") {
    const digits = [...(await digestOf(file))].slice(0, 8).map((byte) => byte.toString(16).padStart(2, "0"));
    metadata = {
      study_id: `study-${digits.join("")}`,
      view: document.getElementById("view").value,
      timestamp: new Date().toISOString(),
    };
  }
  if (sidecar) Object.assign(metadata, JSON.parse(await sidecar.text()));
  return metadata;
}

// XMLHttpRequest, since fetch tells no progress of what it sends.
function post(form, progress) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${texts.root}/send/study`);
    request.setRequestHeader("X-CSRF-Token", document.body.dataset.csrf);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
    request.addEventListener("load", () => done(request));
    request.addEventListener("error", fail);
    request.send(form);
  });
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function entryOf(study) {
  const entry = element("li", undefined, "card sent");
  const left = element("div");
  const name = [study.file?.name, study.sidecar?.name].filter(Boolean).join(" + ");
  left.append(element("strong", name));
  const progress = element("progress");
  progress.max = 1;
  progress.value = 0;
  progress.setAttribute("aria-label", name);
  const state = element("p", texts.textWaiting, "hint");
  left.append(progress, state);
  const answer = element("div");
  entry.append(left, answer);
  list.append(entry);
  return { progress, state, answer };
}

function verdictOf(finding) {
  if (finding.positive === undefined) return texts.textNotApplicable;
  return finding.positive ? texts.textPositive : texts.textNegative;
}

function statementOf(finding) {
  if (finding.positive === undefined) return said(texts.saysNotApplicable, finding);
  return said(finding.positive ? texts.saysPositive : texts.saysNegative, finding);
}

function said(text, finding) {
  return text.replace("{label}", () => finding.label.replaceAll("_", " "));
}

function showResult(shown, result) {
  shown.state.textContent = "";
  const link = element("a", `${texts.textOpen} ${result.study_id}`);
  link.href = `${texts.root}/studies/${result.study_id}`;
  shown.answer.append(link);
  const share = new Intl.NumberFormat(document.documentElement.lang, { style: "percent", minimumFractionDigits: 1 });
  for (const image of result.images) {
    for (const reading of image.readings) {
      for (const finding of reading.findings) {
        const line = element("div", undefined, finding.positive ? "line positive" : "line");
        line.append(
          element("strong", statementOf(finding)),
          element("span", verdictOf(finding), "verdict"),
          element("span", share.format(finding.probability), "share"),
        );
        shown.answer.append(line);
      }
    }
  }
}

function showProblem(shown, title, detail, errors = []) {
  shown.state.textContent = "";
  const told = element("div", undefined, "alert bad");
  told.append(element("strong", title));
  if (detail) told.append(element("p", detail));
  for (const fault of errors) told.append(element("p", `${fault.pointer} ${fault.detail}`));
  shown.answer.append(told);
}

async function send(study, shown) {
  if (!study.file) return showProblem(shown, texts.textLone);
  if (study.file.size > Number(texts.limit)) return showProblem(shown, texts.textTooLarge);
  let metadata;
  try {
    metadata = await metadataOf(study);
  } catch {
    return showProblem(shown, texts.textInvalid);
  }
  const form = new FormData();
  form.append("metadata", new Blob([JSON.stringify(metadata)], { type: "application/json" }));
  form.append("image", study.file);
  shown.state.textContent = texts.textSending;
  const answer = await post(form, (part) => {
    shown.progress.value = part;
    if (part === 1) shown.state.textContent = texts.textProcessing;
  });
  shown.progress.value = 1;
  if (answer.status === 200) showResult(shown, answer.response);
  else showProblem(shown, answer.response?.title ?? texts.textFailed, answer.response?.detail, answer.response?.errors);
}

let last = Promise.resolve();
function take(files) {
  for (const study of studiesOf(files)) {
    const shown = entryOf(study);
    last = last.then(() => send(study, shown)).catch(() => showProblem(shown, texts.textFailed));
  }
}

document.getElementById("files").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    place.classList.toggle("over", name === "dragover");
  });
}
document.addEventListener("drop", async (event) => take(await filesOf(event.dataTransfer.items)));

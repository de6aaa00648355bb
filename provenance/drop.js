// Dropping, size and progress. The form works without this script, too.
const form = document.getElementById("form");
const drop = document.getElementById("drop");
const input = document.getElementById("file");
const button = document.getElementById("check");
const name = document.getElementById("name");
const status = document.getElementById("status");
const limit = Number(input.dataset.megabytes);

function say(words, bad = false) {
  status.textContent = words;
  status.classList.toggle("bad", bad);
}

/** Show what was chosen; a file that is too large is put back. */
function chosen() {
  const file = input.files[0];
  say("");
  if (!file) {
    name.textContent = `At most ${limit} MB`;
    return false;
  }
  const megabytes = file.size / 2 ** 20;
  if (megabytes > limit) {
    input.value = "";
    say(`“${file.name}” has ${Math.ceil(megabytes)} MB; at most ${limit} MB are taken.`, true);
    return false;
  }
  name.textContent = `${file.name}, ${megabytes < 0.1 ? "under 0.1" : megabytes.toFixed(1)} MB`;
  return true;
}

function busy(on) {
  button.disabled = on;
  form.setAttribute("aria-busy", String(on));
  say(on ? "Reading the file. A video takes some seconds." : "");
}

for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
addEventListener("dragleave", () => drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length) {
    input.files = event.dataTransfer.files;
    if (chosen()) form.requestSubmit();
  }
});
input.addEventListener("change", chosen);
form.addEventListener("submit", () => busy(true));
// Back from the verdict, the page may come out of the browser's cache as it was left.
addEventListener("pageshow", () => { busy(false); chosen(); });

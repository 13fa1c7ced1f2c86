// Keeps a page up to date while runs train: the server names a run whose files have changed, and the page
// is loaded again, part by part. What the reader has chosen stays.
const wait = 1500;
let due = false, timer = null;

// A grid may be drawn again: after a rollback, a step has other pictures.
const pictures = (strip) => [...strip.querySelectorAll("img")].map((picture) => picture.getAttribute("src")).join();

const renewStrip = (old, fresh) => {
  const shown = [...old.children].findIndex((figure) => figure.classList.contains("shown"));
  const step = old.children[shown]?.textContent.trim(), wasLast = shown == old.children.length - 1;
  old.replaceChildren(...fresh.children);
  const place = [...old.children].findIndex((figure) => figure.textContent.trim() == step);
  old.dispatchEvent(new CustomEvent("renewed", { detail: wasLast || place < 0 ? undefined : place }));
};

const renew = async () => {
  due = false;
  const address = new URL(location.href);
  address.hash = "";
  address.searchParams.set("renew", "");
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const fresh of page.querySelectorAll(".live")) {
    const old = document.getElementById(fresh.id);
    if (!old) continue;
    const checked = new Set([...old.querySelectorAll(":checked")].map((box) => box.value));
    const active = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceChildren(...fresh.childNodes);
    for (const box of old.querySelectorAll("input")) box.checked = checked.has(box.value);
    if (active) document.getElementById(active)?.focus();
  }
  offer();
  const strips = [...document.querySelectorAll(".strip")];
  for (const fresh of page.querySelectorAll(".strip")) {
    const old = strips.find((strip) => strip.dataset.run == fresh.dataset.run);
    // The first grid of a run needs a strip that the page does not have yet.
    if (!old) return location.reload();
    if (pictures(old) != pictures(fresh)) renewStrip(old, fresh);
  }
};

// Nothing can be compared before something is chosen.
const compare = document.getElementById("compare");
const offer = () => { if (compare) compare.disabled = !document.querySelector("#runs :checked"); };
addEventListener("change", offer);
// The browser fills in what was chosen before after it has loaded the page.
addEventListener("pageshow", offer);
offer();

const concerns = (name) => {
  const shown = document.body.dataset.runs;
  return !name || !shown || JSON.parse(shown).includes(name);
};
const news = new EventSource("/events");
news.addEventListener("changed", ({ data }) => {
  if (!concerns(data) || due) return;
  due = true;
  timer = setTimeout(renew, wait);
});
// A run may have changed while nobody listened.
document.addEventListener("visibilitychange", () => { if (!document.hidden && !due) renew(); });
const state = document.getElementById("state");
news.onopen = () => { if (state) state.textContent = ""; };
news.onerror = () => { if (state) state.textContent = "The program that serves this page does not answer."; };
addEventListener("pagehide", () => { clearTimeout(timer); news.close(); });

// Looks for a changed page, and replaces those sections that are others: nothing on the screen moves.
let shown = new DOMParser().parseFromString(document.documentElement.outerHTML, "text/html");
let tag = null;
const pieces = (page) => [page.querySelector("header"), ...page.querySelectorAll("main > section")];
const byName = (page) => new Map(pieces(page).map((piece) => [piece.id || piece.localName, piece]));
function replace(before, after) {
  before.querySelectorAll("details").forEach((each, i) => {
    const other = after.querySelectorAll("details")[i];
    if (other) other.open = each.open;
  });
  before.querySelectorAll("table").forEach((table, i) => {
    const other = after.querySelectorAll("table")[i], sorted = table.querySelector("[aria-sort]");
    if (other && sorted) sortBy(other, sorted.cellIndex, sorted.getAttribute("aria-sort") === "ascending");
  });
  before.querySelectorAll("select").forEach((each) => {
    const other = after.querySelector(`#${each.id}`);
    const place = other ? [...other.options].findIndex((option) => option.text === each.selectedOptions[0]?.text) : -1;
    if (place >= 0) other.selectedIndex = place;
  });
  const places = "a, button, summary, select, input, .scroll";
  const focused = [...before.querySelectorAll(places)].indexOf(document.activeElement);
  const scrolled = [...before.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
  before.replaceWith(after);
  after.querySelectorAll(".scroll").forEach((each, i) => { each.scrollLeft = scrolled[i] ?? 0; });
  after.querySelectorAll(places)[focused]?.focus({preventScroll: true});
}
function show(next) {
  const [here, was, coming] = [document, shown, next].map(byName);
  const [anchor] = [...here].find(([, piece]) => piece.getBoundingClientRect().bottom > 0) ?? [];
  const top = here.get(anchor)?.getBoundingClientRect().top;
  for (const [name, piece] of here) if (!coming.has(name)) piece.remove();
  let last = null;
  for (const [name, piece] of coming) {
    let node = here.get(name);
    if (!node || was.get(name)?.outerHTML !== piece.outerHTML) {
      const fresh = document.importNode(piece, true);
      if (node) replace(node, fresh);
      node = fresh;
    }
    if (name === "header") continue;
    const main = document.querySelector("main");
    if (node.parentNode !== main || node.previousElementSibling !== last) main.insertBefore(node, last ? last.nextSibling : main.firstChild);
    last = node;
  }
  setUp(document);
  document.title = next.title;
  const now = byName(document).get(anchor)?.getBoundingClientRect().top;
  if (now !== undefined) scrollBy({top: now - top, behavior: "instant"});
  shown = next;
}
async function look() {
  try {
    const answer = await fetch("/", {cache: "no-store", headers: tag ? {"If-None-Match": tag} : {}});
    if (answer.status === 200) {
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      tag = answer.headers.get("ETag");
    }
  } catch { /* the server has ended: what was shown stays */ }
  setTimeout(look, 2000);
}
setTimeout(look, 2000);

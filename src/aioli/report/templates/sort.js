const sortBy = (table, column, up) => {
  const headings = [...table.querySelectorAll("thead th")];
  for (const other of headings) other.removeAttribute("aria-sort");
  headings[column].setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0];
  const compare = (a, b) => {
    const [x, y] = [a, b].map((row) => row.cells[column].dataset.value);
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    const [p, q] = [Number(x), Number(y)];
    const order = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
    return up ? order : -order;
  };
  body.append(...[...body.rows].sort(compare));
};
document.addEventListener("click", (event) => {
  const heading = event.target.closest("thead th");
  if (!heading || !event.target.closest("button")) return;
  sortBy(heading.closest("table"), heading.cellIndex, heading.getAttribute("aria-sort") !== "ascending");
});

// One slider a group: the others keep their ratios.
const LEAST_OUTSIDE = 0.001; // of a mixture: whole sequences round it by as much
function whatIf(root) {
  const stored = root.querySelector("script[type='application/json']");
  if (!stored || root.dataset.ready) return;
  root.dataset.ready = "yes";
  const {choices} = JSON.parse(stored.textContent);
  const choice = root.querySelector("select"), sliders = [...root.querySelectorAll("input[type=range]")];
  const rows = [...root.querySelectorAll("table.predicted tbody tr")], status = root.querySelector(".outside");
  let asked, kind, p;

  const write = (cell, text, value, bounds) => {
    cell.textContent = text(value);
    cell.dataset.value = value;
    if (!bounds || bounds[0] === null) return;
    [cell.dataset.low, cell.dataset.high] = bounds;
    const small = document.createElement("small");
    small.textContent = `${text(bounds[0])} to ${text(bounds[1])}`;
    cell.append(small);
  };
  const show = () => {
    sliders.forEach((slider, j) => {
      slider.value = p[j];
      const told = `${(100 * p[j]).toFixed(1)}%`;
      slider.setAttribute("aria-valuetext", told);
      slider.nextElementSibling.textContent = told;
      slider.dataset.share = p[j];
    });
    const here = kind.losses(p), there = kind.losses(asked.start), change = kind.differences(p, asked.start);
    const widest = Math.max(1e-9, ...change.flat().map((value) => Math.abs(value ?? 0)));
    rows.forEach((row, i) => {
      const [, loss, before, difference, drawing] = row.cells;
      write(loss, plain, here[i][0], here[i].slice(1));
      write(before, plain, there[i][0]);
      write(difference, signed, change[i][0], change[i].slice(1));
      const [, low, high] = change[i];
      difference.className = low === null ? "" : high < 0 ? "lower" : low > 0 ? "higher" : "undecided";
      drawing.innerHTML = bar(change[i], widest);
    });
    const share = shareOutside(p, asked.trained);
    root.dataset.outside = share;
    const outside = share >= LEAST_OUTSIDE;
    root.classList.toggle("extrapolates", outside);
    const told = outside
      ? `Extrapolation: ${(100 * share).toFixed(1)}% of this mixture lies outside the mixtures that the law was fitted to, and no interval here covers that.`
      : "Inside the mixtures that the law was fitted to.";
    if (status.textContent !== told) status.textContent = told;
  };
  const start = () => {
    asked = choices[choice ? choice.selectedIndex : 0];
    kind = KINDS[asked.kind](asked.law);
    p ??= [...asked.start];
    show();
  };
  sliders.forEach((slider, j) => slider.addEventListener("input", () => {
    const wanted = Math.min(1, Math.max(0, Number(slider.value))), rest = 1 - p[j];
    p = p.map((value, k) => (k === j ? wanted
      : rest > 1e-9 ? (value * (1 - wanted)) / rest : (1 - wanted) / Math.max(p.length - 1, 1)));
    if (p.length === 1) p = [1];
    show();
  }));
  root.querySelector("button.plain").addEventListener("click", () => { p = [...asked.start]; show(); });
  choice?.addEventListener("change", () => {
    const moved = p.some((value, j) => value !== asked.start[j]);
    if (!moved) p = undefined;
    start();
  });
  start();
}
const minusSign = (text) => text.replace("-", "\u2212");
const plain = (value) => minusSign(value.toFixed(4));
const signed = (value) => (Math.abs(value) < 5e-5 ? "0.0000" : minusSign(`${value > 0 ? "+" : ""}${value.toFixed(4)}`));
function bar([value, low, high], widest) {
  const x = (v) => (50 + (46 * v) / widest).toFixed(2);
  const line = low === null ? "" : `<line x1="${x(low)}" x2="${x(high)}" y1="8" y2="8" stroke="currentColor" stroke-width="2"/>`;
  return `<svg viewBox="0 0 100 16" width="100" height="16" aria-hidden="true"><line x1="50" x2="50" y1="0" y2="16" stroke="var(--muted)"/>${line}<circle cx="${x(value)}" cy="8" r="3.2" fill="currentColor"/></svg>`;
}

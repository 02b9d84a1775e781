// Two runs side by side, from the results inside the page.
const MANY = 12;
const COLOURS = [0, 1, 2, 3, 4, 5, null, 7].map((n) => (n === null ? "var(--ink)" : `var(--series-${n})`));
const DASHES = ["", "5 2", "1.2 1.8", "6 2 1.2 2"];
const stroke = (j) => `stroke="${COLOURS[j % 8]}" stroke-dasharray="${DASHES[Math.floor(j / 8) % 4]}"`;
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const quantityOf = (value) => {
  const power = value >= 1e9 ? ["G", 1e9] : value >= 1e6 ? ["M", 1e6] : value >= 1e3 ? ["k", 1e3] : ["", 1];
  return `${Number((value / power[1]).toPrecision(3))}${power[0]}`;
};

function twoRuns(root) {
  const stored = root.querySelector("script[type='application/json']");
  if (!stored || root.dataset.ready) return;
  root.dataset.ready = "yes";
  const results = JSON.parse(stored.textContent), choices = [...root.querySelectorAll("select")];
  const names = results.groups, drawn = root.querySelector(".drawn");
  const row = (cells) => `<tr><th scope="row">${escaped(cells[0])}</th>${cells.slice(1).map(
    (cell) => `<td${cell.value === undefined ? "" : ` data-value="${cell.value}"`}${cell.mark ? ` class="${cell.mark}"` : ""}>${cell.text}${cell.below ? `<small>${cell.below}</small>` : ""}</td>`).join("")}</tr>`;
  const tested = (a, b) => results.targets.map((target, i) => {
    const [x, y] = [a, b].map((run) => run.test?.loss?.[i] ?? null);
    const difference = x === null || y === null ? null : y - x;
    return row([target, ...[x, y].map((v) => (v === null ? {text: "\u2013"} : {text: plain(v), value: v})),
      difference === null ? {text: "\u2013"} : {text: signed(difference), value: difference}]);
  }).join("");
  const ledger = (a, b) => names.map((name, j) => row([name, ...[a, b].map((run) => {
    const total = run.drawn?.reduce((sum, value) => sum + (value ?? 0), 0);
    if (!total || run.cost?.train_tokens == null) return {text: "\u2013"};
    const tokens = ((run.drawn[j] ?? 0) / total) * run.cost.train_tokens, epochs = run.epochs?.[j];
    return {text: quantityOf(tokens), value: tokens, below: epochs == null ? "" : `${epochs.toFixed(2)} epochs`};
  })])).join("");
  const show = () => {
    const runs = choices.map((choice) => results.runs[choice.value]);
    const title = (side) => choices[side].selectedOptions[0].textContent;
    const mixtures = runs.map((run) => run.proportions?.step?.length
      ? [[...run.proportions.step, results.steps], [...run.proportions.values, run.proportions.values.at(-1)]] : null);
    const losses = runs.map((run) => (run.curve?.step?.length ? [run.curve.step, run.curve.train_loss] : null));
    const late = losses.flatMap((one) => (one ? one[1].slice(Math.floor(one[1].length / 10)) : [])).flat().filter((v) => v !== null);
    const margin = 0.06 * (Math.max(...late) - Math.min(...late) || 0.1);
    const shares = mixtures.flatMap((one) => (one ? one[1] : [])).flat().filter((v) => v !== null);
    const order = names.map((_, j) => j).slice(0, MANY);
    drawn.innerHTML = `<ul class="legend">${order.map((j) => `<li><svg class="swatch" viewBox="0 0 26 10" aria-hidden="true"><line x1="1" x2="25" y1="5" y2="5" stroke-width="2.4" ${stroke(j)}/></svg>${escaped(names[j])}</li>`).join("")}</ul>`
      + (names.length > MANY ? `<p class="caption">The first ${MANY} of ${names.length} groups; the ledger below has all.</p>` : "")
      + `<div class="grid pairs">${[
        ...[0, 1].map((side) => lineChart(`${title(side)}: proportions`, "proportion", mixtures[side], order, [0, Math.max(...shares) * 1.06], results.steps, true)),
        ...[0, 1].map((side) => lineChart(`${title(side)}: training loss`, "nats per token", losses[side], order, [Math.min(...late) - margin, Math.max(...late) + margin], results.steps, false)),
      ].join("")}</div>`;
    root.querySelector("table.tested tbody").innerHTML = tested(...runs);
    root.querySelector("table.ledger tbody").innerHTML = ledger(...runs);
  };
  for (const choice of choices) choice.addEventListener("change", show);
  show();
}

function lineChart(title, unit, series, order, [low, high], steps, stairs) {
  if (!series || !Number.isFinite(low) || !Number.isFinite(high)) {
    return `<figure><figcaption>${escaped(title)}</figcaption><p class="caption">Not recorded.</p></figure>`;
  }
  const [left, right, top, bottom] = [46, 330, 20, 184];
  const x = (step) => left + ((right - left) * step) / steps;
  const y = (value) => bottom - ((bottom - top) * (Math.min(Math.max(value, low), high + (high - low)) - low)) / (high - low);
  const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const gap = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw), ticks = [];
  for (let k = Math.ceil(low / gap); k * gap <= high; k += 1) ticks.push(k * gap);
  const path = (j) => {
    let text = "", last = null;
    series[0].forEach((step, k) => {
      const value = series[1][k][j];
      if (value === null) { last = null; return; }
      text += last === null ? `M${x(step).toFixed(1)} ${y(value).toFixed(1)}`
        : `${stairs ? `H${x(step).toFixed(1)}V` : `L${x(step).toFixed(1)} `}${y(value).toFixed(1)}`;
      last = value;
    });
    return text;
  };
  const clip = `clip-${title.replace(/\W/g, "-")}`;
  const told = order.map((j) => series[1].at(-1)[j]).map((v) => (v === null ? "none" : v.toFixed(3))).join(", ");
  return `<figure><figcaption>${escaped(title)}</figcaption><svg viewBox="0 0 340 220" role="img" aria-label="${escaped(`${title}; at the end: ${told}`)}" font-size="11.5">
<clipPath id="${clip}"><rect x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/></clipPath>
<text x="${left}" y="12" fill="var(--muted)" font-size="11">${unit}</text>
${ticks.map((v) => `<g><path d="M${left} ${y(v).toFixed(1)}H${right}" stroke="var(--grid)"/><text x="${left - 4}" y="${(y(v) + 3.5).toFixed(1)}" text-anchor="end" fill="var(--muted)">${v.toFixed(Math.max(0, Math.ceil(-Math.log10(gap) - 1e-9)))}</text></g>`).join("")}
${[0, 0.5, 1].map((s) => `<text x="${x(s * steps)}" y="198" text-anchor="${s === 1 ? "end" : s ? "middle" : "start"}" fill="var(--muted)">${Math.round(s * steps)}</text>`).join("")}
<text x="${right}" y="214" text-anchor="end" fill="var(--muted)" font-size="11">optimiser step</text>
<g clip-path="url(#${clip})">${order.map((j) => `<path d="${path(j)}" fill="none" stroke-width="1.6" ${stroke(j)}/>`).join("")}</g></svg></figure>`;
}

// Mixing laws by their numbers, as in aioli.laws.static and aioli.fitting.dynamic.
const dot = (a, b) => a.reduce((sum, value, j) => sum + value * b[j], 0);
const LEAST_PROPORTION = 1e-300, LEAST_SUM = 1e-6;
const effective = (law, i, p) => {
  const sum = law.coefficients[i].reduce(
    (total, c, j) => total + c * Math.exp(law.exponents[i][j] * Math.log(Math.max(p[j], LEAST_PROPORTION))), 0);
  return Math.max(sum, LEAST_SUM);
};
const FORMS = {
  linear: (law, p) => law.coefficients.map((row) => dot(row, p)),
  log_linear: (law, p) => law.floors.map((floor, i) => floor + Math.exp(dot(law.slopes[i], p))),
  bimix: (law, p) => law.floors.map((floor, i) => floor + law.coefficients[i].reduce(
    (sum, c, j) => sum + c * Math.exp(-law.exponents[i][j] * Math.log(Math.max(p[j], law.least))), 0)),
  additive: (law, p) => law.floors.map((floor, i) => floor + 1 / effective(law, i, p)),
  effective: (law, p) => law.floors.map((floor, i) => floor + effective(law, i, p) ** -law.powers[i]),
  average: (law, p) => {
    const each = law.members.map((member) => predict(member, p));
    return each[0].map((_, i) => each.reduce((sum, losses, l) => sum + law.weights[l] * losses[i], 0));
  },
};
function predict(law, p) { return FORMS[law.form](law, p); }

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b), at = share * (sorted.length - 1), below = Math.floor(at);
  return sorted[below] + (at - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
}

// Losses with 95% intervals of what one run would measure, and differences with those of the law alone.
const KINDS = {
  dynamic(law) {
    const spread = (i, v) => law.axes.reduce((sum, axis, l) => sum + law.variances[i][l] * dot(axis, v) ** 2, 0);
    const minus = (p, q) => p.map((value, j) => value - q[j]);
    return {
      losses: (p) => law.losses.map((loss, i) => {
        const found = loss - dot(law.matrix[i], p), common = law.noise[i] ** 2 / law.branches;
        const half = law.critical * Math.sqrt(spread(i, minus(p, law.mean)) + common + law.one_run[i] ** 2);
        return [found, found - half, found + half];
      }),
      differences: (p, q) => law.losses.map((_, i) => {
        const change = -dot(law.matrix[i], minus(p, q));
        const half = law.critical * Math.sqrt(spread(i, minus(p, q)));
        return [change, change - half, change + half];
      }),
    };
  },
  fitted(law) {
    const all = (one, p) => {
      const found = predict(one, p);
      return [...found, dot(law.weights, found)];
    };
    const tails = (values) => [quantile(values, 0.025), quantile(values, 0.975)];
    const replicates = (p) => law.replicates.map((one) => all(one, p));
    return {
      losses(p) {
        const again = replicates(p);
        return all(law.law, p).map((loss, i) => {
          if (i === law.weights.length) return [loss, null, null];
          let [below, above] = [-Math.min(law.noise[0][i], 0), Math.max(law.noise[1][i], 0)];
          if (again.length) {
            const [low, high] = tails(again.map((one) => one[i]));
            below = Math.hypot(below, Math.max(loss - low, 0));
            above = Math.hypot(above, Math.max(high - loss, 0));
          }
          return [loss, loss - below, loss + above];
        });
      },
      differences(p, q) {
        const [here, there, a, b] = [all(law.law, p), all(law.law, q), replicates(p), replicates(q)];
        return here.map((loss, i) => [loss - there[i],
          ...(a.length ? tails(a.map((one, r) => one[i] - b[r][i])) : [null, null])]);
      },
    };
  },
};

// Share of p that leaves the convex hull of points: half the distance to its nearest point there (Wolfe 1976).
function shareOutside(p, points) {
  const shifted = points.map((point) => point.map((value, j) => value - p[j]));
  const combined = (set, shares) => p.map((_, j) => set.reduce((sum, r, s) => sum + shares[s] * shifted[r][j], 0));
  const length = shifted.map((v) => dot(v, v));
  let set = [length.indexOf(Math.min(...length))], shares = [1], nearest = shifted[set[0]];
  for (let round = 0; round < 500; round += 1) {
    const along = shifted.map((v) => dot(v, nearest)), best = along.indexOf(Math.min(...along));
    if (set.includes(best) || along[best] > dot(nearest, nearest) - 1e-13) break;
    set.push(best);
    shares.push(0);
    for (;;) {
      const wanted = affine(set.map((r) => shifted[r]));
      if (wanted.every((share) => share > 1e-12)) { shares = wanted; break; }
      const step = Math.min(...wanted.flatMap((w, s) => (w <= 1e-12 ? [shares[s] / (shares[s] - w || 1)] : [])));
      const moved = shares.map((share, s) => share + Math.min(Math.max(step, 0), 1) * (wanted[s] - share));
      const lost = wanted.map((w, s) => w <= 1e-12 && moved[s] <= 1e-12);
      if (!lost.some(Boolean)) lost[moved.indexOf(Math.min(...moved))] = true;
      set = set.filter((_, s) => !lost[s]);
      shares = moved.filter((_, s) => !lost[s]);
    }
    nearest = combined(set, shares);
  }
  const share = 0.5 * nearest.reduce((sum, value) => sum + Math.abs(value), 0);
  return share < 1e-6 ? 0 : share;
}

// Shares with sum 1, of any sign, of the shortest combination of vectors.
function affine(vectors) {
  const size = vectors.length, scale = Math.max(...vectors.map((v) => dot(v, v))) || 1;
  const rows = vectors.map((v) => [...vectors.map((w) => dot(v, w) / scale + 1), 1]);
  for (let k = 0; k < size; k += 1) {
    let pivot = k;
    for (let i = k; i < size; i += 1) if (Math.abs(rows[i][k]) > Math.abs(rows[pivot][k])) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    if (Math.abs(rows[k][k]) < 1e-300) continue;
    for (let i = 0; i < size; i += 1) {
      if (i === k) continue;
      const factor = rows[i][k] / rows[k][k];
      for (let j = k; j <= size; j += 1) rows[i][j] -= factor * rows[k][j];
    }
  }
  const found = rows.map((row, k) => (Math.abs(row[k]) < 1e-300 ? 0 : row[size] / row[k]));
  const sum = found.reduce((total, value) => total + value, 0);
  return found.map((value) => value / sum);
}

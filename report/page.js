// The charts of a netcmp page, drawn with uPlot. Each stands in for the drawing
// in its figure, which is shown where this script may not run, and on paper.
"use strict";
(() => {
  // Words, as the program itself writes them (units.go). Times are ns.
  const times = [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]];
  const significant = v => v < 0.995 ? v.toFixed(3)
    : [2, 1, 0].map(digits => v.toFixed(digits)).find(s => s.length <= 4) ?? v.toFixed(0);
  const duration = ns => {
    if (ns === 0) return "0 s";
    if (ns < 1e3) return `${Math.round(ns)} ns`;
    const [name, factor] = times.find(([, f]) => +significant(ns / f) < 1000) ?? times[3];
    return `${significant(ns / factor)} ${name}`;
  };
  const exact = ns => {
    const [name, factor] = times.findLast(([, f]) => ns >= f) ?? times[3];
    return `${+(ns / factor).toPrecision(6)} ${name}`;
  };
  const instant = ns => `${(ns / 1e6).toFixed(ns < 1e7 ? 3 : 1)} ms`;
  const percent = share => {
    if (share === 0 || share === 1) return `${share * 100} %`;
    const digits = [2, 3, 4, 5].find(d => ![0, 100].includes(+(share * 100).toFixed(d)));
    return digits ? `${(share * 100).toFixed(digits)} %` : share > 0.5 ? ">99.9999 %" : "<0.0001 %";
  };
  const rate = v => v === 0 ? "0" : v < 1000 ? significant(v) : v.toFixed(0);
  const units = {
    time: { tick: exact, say: duration },
    share: { tick: v => `${+(v * 100).toPrecision(6)} %`, say: percent },
    rate: { tick: v => String(+v.toPrecision(6)), say: v => `${rate(v)}/s` },
    count: { tick: v => String(+v.toPrecision(6)), say: String },
  };

  // Round values between low and high: 1, 2 and 5 times powers of ten.
  const ticks = (low, high, most, log) => {
    const all = [];
    if (log) {
      const steps = Math.log10(high / low) > most / 3 ? [1] : [1, 2, 5];
      for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
        for (const m of steps) all.push(+`${m}e${e}`);
      const inside = all.filter(v => v >= low * 0.999 && v <= high * 1.001);
      if (inside.length > 1) return inside;
      all.length = 0;
    }
    const rough = 10 ** Math.floor(Math.log10((high - low) / most));
    const step = rough * [1, 2, 5, 10].find(m => (high - low) / (rough * m) <= most);
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) all.push(n * step);
    return all;
  };

  const theme = getComputedStyle(document.documentElement);
  const paint = name => () => theme.getPropertyValue(`--${name}`).trim();
  const element = (name, properties, ...children) => {
    const e = Object.assign(document.createElement(name), properties);
    e.append(...children);
    return e;
  };
  const undelta = (all, tick) => {
    let v = 0;
    return all.map(d => d === null ? null : (v += d) * tick);
  };

  // What uPlot draws at each point of a series, in place of a line.
  const marks = draw => (u, series, from, to) => {
    const path = new Path2D(), r = 3 * devicePixelRatio;
    for (let i = from; i <= to; i++)
      if (u.data[series][i] != null)
        draw(path, u.valToPos(u.data[0][i], "x", true), u.valToPos(u.data[series][i], "y", true), r);
    return { stroke: path };
  };
  const dot = (path, x, y) => { path.moveTo(x, y); path.lineTo(x + 0.01, y); };
  const cross = (path, x, y, r) => {
    path.moveTo(x - r, y - r); path.lineTo(x + r, y + r);
    path.moveTo(x - r, y + r); path.lineTo(x + r, y - r);
  };

  // The messages of one trial, in the order of arrival; a lost one stands where
  // it was due.
  function messages(chart) {
    const planned = undelta(chart.planned, chart.tick), delay = undelta(chart.delay, chart.tick);
    const arrived = n => planned[n] + (delay[n] ?? 0);
    const numbers = planned.map((_, n) => n).filter(n => planned[n] !== null);
    const order = [...numbers].sort((a, b) => arrived(a) - arrived(b) || a - b);
    const parts = [["waiting", chart.waiting], ["crossing", chart.crossing],
      ["head-of-line blocked", chart.blocked], ["read late", chart.readLate], ["held back", chart.heldBack]]
      .flatMap(([name, all]) => all ? [[name, undelta(all, 1)]] : []);
    const split = n => parts.length && parts.every(([, all]) => all[n] != null)
      ? ` (${parts.map(([name, all]) => `${name} ${duration(all[n])}`).join(", ")})` : "";
    const held = new Set();
    for (const [first, last] of chart.held ?? []) for (let n = first; n <= last; n++) held.add(n);
    // The number that was due at each of those times, from between two numbers too.
    let k = 0;
    const due = order.map(arrived).map(x => {
      while (k + 1 < numbers.length && planned[numbers[k + 1]] <= x) k++;
      const [a, b] = [numbers[k], numbers[k + 1] ?? numbers[k]];
      if (x < planned[a] || x > planned[numbers.at(-1)]) return null;
      return planned[b] > planned[a] ? a + (b - a) * (x - planned[a]) / (planned[b] - planned[a]) : a;
    });
    const fate = n => delay[n] === null ? "never came" : held.has(n) ? "head-of-line blocked" : "came";
    return {
      data: [order.map(arrived), order.map(n => delay[n] === null ? null : n), order.map(n => delay[n] === null ? n : null), due],
      series: [
        { stroke: paint(`a${chart.colour}`), width: numbers.length > 400 ? 2.5 : 4, cap: "round", paths: marks(dot) },
        { stroke: paint("bad"), width: 1.4, paths: marks(cross) },
        { stroke: paint("faint"), width: 0.8, pointless: true },
      ],
      legend: [[1], [2], [3]],
      value: (i, u) => u.series[delay[order[i]] === null ? 2 : 1].show ? order[i] : undefined,
      read: i => {
        const n = order[i], due = `message ${n}: due at ${instant(planned[n])}, `;
        return due + (delay[n] === null ? "never came"
          : `came at ${instant(arrived(n))}, after ${duration(delay[n])}${held.has(n) ? ", head-of-line blocked" : ""}${split(n)}`);
      },
      head: ["message", "due", "came", "after", ""],
      rows: () => numbers.map(n => [n, instant(planned[n]),
        ...(delay[n] === null ? ["–", "∞"] : [instant(arrived(n)), duration(delay[n])]), fate(n)]),
    };
  }

  // Curves over one x, some of them with a band around.
  function curves(chart) {
    const at = undelta(chart.at, chart.tick), say = [units[chart.x.unit].say, units[chart.y.unit].say];
    const data = [at], series = [], bands = [], legend = [];
    const drawn = y => chart.y.log ? y.map(v => v > 0 ? v : null) : y;
    const paths = chart.steps ? uPlot.paths.stepped({ align: 1 }) : undefined;
    for (const c of chart.curves) {
      const first = data.length;
      data.push(drawn(c.y));
      series.push({ stroke: paint(`a${c.colour}`), width: 1.8, paths });
      if (c.low) {
        data.push(c.high, c.low);
        series.push({ pointless: true }, { pointless: true });
        bands.push({ series: [first + 1, first + 2], fill: u => paint(`a${c.colour}`)() + "26" });
      }
      legend.push(c.low ? [first, first + 1, first + 2] : [first]);
    }
    const seen = (u, i) => chart.curves.filter((c, k) => u.series[legend[k][0]].show && c.y[i] != null);
    return {
      data, series, bands, legend,
      value: (i, u) => seen(u, i)[0]?.y[i],
      read: (i, u) => `${chart.lead} ${say[0](at[i])}: ` + seen(u, i).map(c => `${c.name} ${say[1](c.y[i])}`).join(", "),
    };
  }

  const live = [];

  function draw(chart) {
    const figure = document.getElementById(chart.id), still = figure.querySelector("svg");
    const single = !!chart.planned, kind = single ? messages(chart) : curves(chart);
    const at = kind.data[0], last = at.length - 1;
    const readout = element("output", { className: "readout" });
    const plot = element("div", { className: "plot", tabIndex: 0 });
    plot.setAttribute("role", "application");
    plot.setAttribute("aria-roledescription", "chart");
    plot.setAttribute("aria-label", still.getAttribute("aria-label"));
    still.before(plot, readout);
    figure.classList.add("live");

    let picked = null;  // the point that is told of
    let byKey = false;  // and it was not the pointer that picked it
    let zoomed = false;

    // The point nearest to the pointer. Of messages that came together, their time
    // alone tells no one from another.
    function nearest(u, i) {
      if (!single) return i;
      const [from, to] = u.series[0].idxs, { left, top } = u.cursor;
      let best = i, least = Infinity;
      for (const step of [-1, 1])
        for (let j = step < 0 ? i : i + 1; j >= from && j <= to; j += step) {
          const dx = u.valToPos(at[j], "x") - left;
          if (Math.abs(dx) >= least) break;
          const value = kind.value(j, u);
          if (value === undefined) continue;
          const away = Math.hypot(dx, u.valToPos(value, "y") - top);
          if (away < least) [best, least] = [j, away];
        }
      return best;
    }

    const size = () => {
      const width = Math.floor(figure.clientWidth);
      return { width, height: Math.round(Math.min(Math.max(width * (single ? 0.66 : 0.5), 220), 340)) };
    };
    const axis = (side, spec, most, room) => ({
      side, size: room, stroke: paint("faint"), font: "11px system-ui, sans-serif", gap: 4,
      grid: { show: side === 3, stroke: paint("line"), width: 1 }, ticks: { stroke: paint("line"), width: 1, size: 4 },
      splits: (u, _, low, high) => ticks(low, high, side === 2 && u.width < 500 ? 4 : most, spec.log),
      filter: (_, all) => all, values: (_, all) => all.map(units[spec.unit].tick),
    });
    const u = new uPlot({
      ...size(), padding: [8, 16, 0, 0], legend: { show: false },
      scales: {
        x: { time: false, distr: chart.x.log ? 3 : 1, range: (_, low, high) => {
          zoomed = low > at[0] || high < at[last];
          return zoomed ? [low, high] : [chart.x.low, chart.x.high];
        } },
        y: { distr: chart.y.log ? 3 : 1, range: (_, low, high) =>
          single && zoomed && low !== null ? [low - 1, high + 1] : [chart.y.low, chart.y.high] },
      },
      axes: [axis(2, chart.x, 8, 28), axis(3, chart.y, 5, 52)],
      series: [{}, ...kind.series.map(s => ({ points: { show: false }, ...s }))],
      bands: kind.bands,
      cursor: {
        y: false, drag: { x: true, y: false, dist: 5 },
        points: { size: 9, width: 2, fill: paint("paper") },
        dataIdx: (u, series, i) => {
          if (series === 0 && !byKey) picked = nearest(u, i);
          return kind.series[series - 1]?.pointless ? null : picked;
        },
      },
      hooks: {
        setCursor: [u => { if (u.cursor.left >= 0 && picked !== null) readout.textContent = kind.read(picked, u); }],
        // What is beside it is looked at together with it.
        setScale: [(u, key) => {
          if (key !== "x" || !single) return;
          const { min, max } = u.scales.x;
          for (const other of live)
            if (other.single && other.u !== u && (other.u.scales.x.min !== min || other.u.scales.x.max !== max))
              other.u.setScale("x", { min, max });
        }],
      },
    }, kind.data, plot);

    plot.addEventListener("mousemove", () => { byKey = false; }, true);
    plot.addEventListener("keydown", e => {
      if (e.ctrlKey || e.altKey || e.metaKey) return;
      const [from, to] = u.series[0].idxs, tenth = Math.max(Math.round((to - from) / 10), 1);
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -tenth, PageDown: tenth, Home: -Infinity, End: Infinity }[e.key];
      const factor = { "+": 0.5, "=": 0.5, "-": 2, Escape: Infinity }[e.key];
      if (step !== undefined) {
        const start = picked ?? (step > 0 ? from - 1 : to + 1);
        byKey = true;
        picked = Math.min(Math.max(start + step, from), to);
        const value = kind.value(picked, u);
        u.setCursor({ left: u.valToPos(at[picked], "x"), top: value === undefined ? 0 : u.valToPos(value, "y") });
      } else if (factor !== undefined) {
        const { min, max } = u.scales.x, near = at[picked ?? Math.round((from + to) / 2)], x = chart.x;
        const [go, back] = x.log ? [Math.log, Math.exp] : [v => v, v => v];
        const half = (go(max) - go(min)) * factor / 2;
        u.setScale("x", { min: Math.max(back(go(near) - half), x.low), max: Math.min(back(go(near) + half), x.high) });
      } else return;
      e.preventDefault();
    });
    new ResizeObserver(() => {
      const next = size();
      if (next.width > 0 && next.width !== u.width) u.setSize(next);
    }).observe(figure);

    if (kind.rows) {
      const all = element("details", {}, element("summary", { textContent: "Every message" }));
      all.addEventListener("toggle", () => {
        if (all.children.length > 1) return;
        const row = (cells, name) => element("tr", {}, ...cells.map(c => element(name, { textContent: c })));
        all.append(element("div", { className: "scroll tall" }, element("table", {},
          element("thead", {}, row(kind.head, "th")), element("tbody", {}, ...kind.rows().map(r => row(r, "td"))))));
      });
      figure.append(all);
    }
    live.push({ u, single, figure, legend: kind.legend });
  }

  for (const chart of JSON.parse(document.getElementById("data").textContent) ?? []) draw(chart);

  // The names of a legend become switches.
  for (const list of document.querySelectorAll(".legend")) {
    const of = live.filter(l => list.parentElement.contains(l.figure));
    if (!of.length) continue;
    [...list.children].forEach((item, i) => {
      const button = element("button", { type: "button", ariaPressed: "true" }, ...item.childNodes);
      button.addEventListener("click", () => {
        const show = button.ariaPressed === "false";
        button.ariaPressed = String(show);
        for (const { u, legend } of of) for (const series of legend[i]) u.setSeries(series, { show });
      });
      item.append(button);
    });
  }
  document.getElementById("help").hidden = live.length === 0;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => live.forEach(({ u }) => u.redraw(false)));
})();

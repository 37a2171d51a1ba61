// Line charts with intervals, marks and a table of the same values; uPlot draws the lines.
"use strict";

const charts = (() => {
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (index) => style(`--series-${index % 6}`);

  /** An element; whatever text it gets is text, never markup. */
  function element(tag, { text, children = [], ...attributes } = {}) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(name, value);
    }
    if (text !== undefined) made.textContent = text;
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  /** A swatch of a line; colours are set through the DOM: the page allows no style attributes. */
  function swatch(index, dashed = false) {
    const made = element("span", { class: dashed ? "swatch dashed" : "swatch", "aria-hidden": "true" });
    made.style.borderTopColor = `var(--series-${index % 6})`;
    return made;
  }

  function table(columns, rows, caption) {
    const cell = (tag, column, content) => {
      const made = element(tag, { class: column.kind || null, scope: tag === "th" ? "col" : null });
      made.append(content instanceof Node ? content : document.createTextNode(content ?? ""));
      return made;
    };
    return element("table", {
      children: [
        element("caption", { class: "hidden", text: caption }),
        element("thead", { children: [element("tr", { children: columns.map((c) => cell("th", c, c.name)) })] }),
        element("tbody", {
          children: rows.map((row) =>
            element("tr", { children: row.map((content, i) => cell("td", columns[i], content)) })),
        }),
      ],
    });
  }

  const translucent = (rgb, share) => {
    const digits = rgb.slice(1).match(/../g).map((pair) => parseInt(pair, 16));
    return `rgba(${digits.join(",")},${share})`;
  };

  /**
   * Draw a chart in place of what the element holds.
   *
   * series: [{ name, color, dashed, points: [[x, y, low?, high?], ...] }]
   * x: { name, title(x), tick(x), log, only: [ticks] }; y: { name, show(y), log, baseline }
   * marks: [{ x, text, good }]: steps, drawn as vertical lines.
   */
  function draw(host, { title, series, x, y, marks = [], nothing }) {
    if (host.chart) {
      host.watcher.disconnect();
      host.chart.destroy();
      host.chart = null;
    }
    host.replaceChildren();
    if (!series.some((one) => one.points.length)) {
      host.append(element("p", { class: "nothing", text: nothing || "Nothing is stored for this choice." }));
      return;
    }
    const xs = [...new Set(series.flatMap((one) => one.points.map((point) => point[0])))].sort((a, b) => a - b);
    const column = (one, part) => {
      const at = new Map(one.points.map((point) => [point[0], point[part] ?? null]));
      return xs.map((value) => at.get(value) ?? null);
    };
    const banded = series.filter((one) => one.points.some((point) => point.length > 2));
    const data = [xs, ...series.map((one) => column(one, 1))];
    const bands = [];
    for (const one of banded) {
      bands.push({ series: [data.length + 1, data.length], fill: translucent(color(one.color), 0.16) });
      data.push(column(one, 2), column(one, 3));
    }
    const lines = series.map((one) => ({
      label: one.name,
      stroke: color(one.color),
      width: 2,
      dash: one.dashed ? [6, 5] : undefined,
      spanGaps: true,
      points: { show: xs.length <= 60, size: 6, fill: color(one.color) },
    }));
    const edges = banded.flatMap(() => [0, 1].map(() => ({ stroke: "transparent", width: 0, spanGaps: true, points: { show: false } })));

    if (series.length > 1) {
      host.append(element("ul", {
        class: "legend",
        children: series.map((one) => element("li", { children: [swatch(one.color, one.dashed), new Text(one.name)] })),
      }));
    }
    const last = series.map((one) => `${one.name} ${one.points.length ? y.show(one.points.at(-1)[1]) : "nothing"}`);
    const plot = element("div", {
      class: "plot",
      role: "img",
      "aria-label": `${title}, ${xs.length} values of ${x.name}; at the last one: ${last.join(", ")}`,
    });
    host.append(plot, tableOf(title, series, x, y));
    const tip = element("div", { class: "tip", hidden: "" });
    host.chart = new uPlot({
      width: plot.clientWidth,
      height: plot.clientHeight,
      padding: [16, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 8 } },
      scales: {
        x: { time: false, distr: x.log ? 3 : 1, log: 2, range: () => xRange(xs[0], xs.at(-1), x.log) },
        y: { distr: y.log ? 3 : 1, range: (_, low, high) => (y.log ? [low / 1.4, high * 1.4] : yRange(low, high, y.baseline)) },
      },
      axes: [
        axis({ splits: x.log ? () => xs : undefined, filter: (_, ticks) => ticks, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], space: 70, size: 34,
               values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? x.tick(tick) : "")) }),
        axis({ splits: y.log ? (_, index, low, high) => oneTwoFive(low, high) : undefined, filter: (_, ticks) => ticks,
               label: y.name, labelSize: 20, labelFont: "12px system-ui, sans-serif", size: 64,
               values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : y.tick(tick))) }),
      ],
      series: [{}, ...lines, ...edges],
      bands,
      hooks: {
        init: [(u) => u.over.append(tip)],
        drawClear: [(u) => baseline(u, y.baseline)],
        draw: [(u) => drawMarks(u, marks)],
        setCursor: [(u) => showTip(u, tip, xs, series, x, y, marks)],
      },
    }, data, plot);
    host.watcher = new ResizeObserver(() => host.chart.setSize({ width: plot.clientWidth, height: plot.clientHeight }));
    host.watcher.observe(plot);
  }

  const axis = (options) => ({
    stroke: style("--quiet"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: style("--grid"), width: 1 },
    ticks: { stroke: style("--grid"), width: 1, size: 5 },
    ...options,
  });

  function xRange(low, high, log) {
    if (log) return [low / 1.25, high * 1.25];
    const room = Math.max((high - low) * 0.02, 0.4);
    return [low - room, high + room];
  }

  function yRange(low, high, base) {
    if (base !== undefined) [low, high] = [Math.min(low, base), Math.max(high, base)];
    // A level that nothing has changed is a line in the middle, not noise drawn large.
    const room = Math.max((high - low) * 0.12, Math.abs(high) * 0.02);
    return [low - room, high + room];
  }

  /** 1, 2, 5, 10, ...: uPlot's own begin where the axis does. */
  function oneTwoFive(low, high) {
    const ticks = [];
    for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) {
      ticks.push(...[1, 2, 5].map((digit) => digit * decade).filter((tick) => low <= tick && tick <= high));
    }
    return ticks;
  }

  function baseline(u, value) {
    if (value === undefined) return;
    const { left, width } = u.bbox;
    const at = u.valToPos(value, "y", true);
    stroke(u.ctx, style("--quiet"), [], 1, [left, at, left + width, at]);
  }

  function drawMarks(u, marks) {
    const ratio = devicePixelRatio;
    const { left, top, width, height } = u.bbox;
    let taken = -Infinity;
    for (const mark of [...marks].sort((a, b) => a.x - b.x)) {
      const at = u.valToPos(mark.x, "x", true);
      const shade = style(mark.good ? "--good" : "--bad");
      stroke(u.ctx, shade, [3 * ratio, 4 * ratio], ratio, [at, top, at, top + height]);
      u.ctx.save();
      u.ctx.font = `${11.5 * ratio}px system-ui, sans-serif`;
      u.ctx.fillStyle = shade;
      const half = u.ctx.measureText(mark.text).width / 2;
      const middle = Math.min(Math.max(at, left + half), left + width - half);
      if (middle - half > taken) {
        u.ctx.textAlign = "center";
        u.ctx.fillText(mark.text, middle, top - 5 * ratio);
        taken = middle + half + 6 * ratio;
      }
      u.ctx.restore();
    }
  }

  function stroke(context, shade, dash, width, [x0, y0, x1, y1]) {
    context.save();
    context.strokeStyle = shade;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
    context.restore();
  }

  function showTip(u, tip, xs, series, x, y, marks) {
    const { idx, left } = u.cursor;
    tip.hidden = idx === null || idx === undefined || left < 0;
    if (tip.hidden) return;
    const at = xs[idx];
    const { heading, text } = x.title(at);
    tip.replaceChildren(element("strong", { text: heading }), element("span", { class: "subject", text }));
    series.forEach((one, i) => {
      const value = u.data[i + 1][idx];
      if (value === null || value === undefined) return;
      const point = one.points.find((candidate) => candidate[0] === at);
      const interval = point.length > 2 ? ` (${y.plain(point[2])}–${y.plain(point[3])})` : "";
      tip.append(element("div", {
        children: [swatch(one.color, one.dashed), element("span", { text: one.name }),
                   element("b", { text: y.show(value) + interval })],
      }));
    });
    for (const mark of marks.filter((one) => one.x === at)) {
      tip.append(element("div", { class: mark.good ? "good" : "bad", text: `change point: ${mark.text}` }));
    }
    const right = left > u.over.clientWidth / 2;
    tip.style.left = right ? "auto" : `${left + 14}px`;
    tip.style.right = right ? `${u.over.clientWidth - left + 14}px` : "auto";
    tip.style.top = "6px";
  }

  /** The same values for who cannot see the lines; filled when it is opened. */
  function tableOf(title, series, x, y) {
    const holder = element("div", { class: "table" });
    const made = element("details", { children: [element("summary", { text: "Values as a table" }), holder] });
    made.addEventListener("toggle", () => {
      if (!made.open || holder.firstChild) return;
      const xs = [...new Set(series.flatMap((one) => one.points.map((point) => point[0])))].sort((a, b) => b - a);
      const columns = [{ name: x.name }, { name: "", kind: "text" }, ...series.map((one) => ({ name: one.name, kind: "number" }))];
      const rows = xs.map((at) => {
        const { heading, text } = x.title(at);
        const values = series.map((one) => one.points.find((point) => point[0] === at));
        return [heading, text, ...values.map((point) => (point ? y.show(point[1]) : "–"))];
      });
      holder.append(table(columns, rows, title));
    });
    return made;
  }

  return { draw, element, swatch, table };
})();

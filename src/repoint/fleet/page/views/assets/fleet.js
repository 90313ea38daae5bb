// Draws the charts from the tables that are on the page. Without JavaScript, the tables are there.
"use strict";
(() => {
  const HEIGHT = 210; // pixels
  const WHOLE = [...Array(10).keys()].flatMap((power) => [1, 2, 5].map((each) => each * 10 ** power)); // devices
  const language = document.documentElement.lang;
  const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  const exact = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 2 });
  const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
  const hour = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
  let charts = [];

  const style = (element, name) => getComputedStyle(element).getPropertyValue(name).trim();
  const isDark = matchMedia("(prefers-color-scheme: dark)");

  // The table has the latest time first.
  const read = (figure) => {
    const rows = [...figure.querySelectorAll("tbody tr")].reverse();
    const heads = [...figure.querySelectorAll("th[data-series]")];
    const times = rows.map((row) => Number(row.firstElementChild.dataset.time));
    const columns = heads.map((_, number) => rows.map((row) => {
      const { value } = row.children[number + 1].dataset;
      return value === undefined ? null : Number(value);
    }));
    return { heads, times, columns };
  };

  // The width of the longest label of an axis, about: seven pixels a character.
  const widest = (labels) => 16 + 7 * Math.max(...(labels || [""]).map((label) => String(label).length));

  const isLong = (times) => times[times.length - 1] - times[0] > 4 * 86400;
  const axisTime = (chart, times) => {
    const long = isLong(chart.data[0]);
    let before = "";
    return times.map((time) => {
      const date = new Date(time * 1000);
      const label = day.format(date);
      if (long) return label;
      const text = label === before ? hour.format(date) : `${hour.format(date)}\n${label}`;
      before = label;
      return text;
    });
  };

  const draw = (figure) => {
    const { heads, times, columns } = read(figure);
    const plot = figure.querySelector(".plot");
    if (!times.length) return;
    plot.hidden = false;
    figure.classList.add("drawn");
    const long = isLong(times);
    const percent = figure.dataset.unit === "percent";
    const format = (value) => (percent ? share.format(value / 100) : exact.format(value));
    const legend = [...figure.querySelectorAll(".legend .value")];
    const latest = legend.map((each) => each.textContent);
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    const line = style(figure, "--line");
    const quiet = style(figure, "--quiet");
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const series = heads.map((head, number) => {
      const stepped = head.hasAttribute("data-stepped");
      return {
        label: head.textContent,
        stroke: style(figure, stepped ? "--planned" : `--series-${number + 1}`),
        width: 2,
        dash: stepped ? [5, 4] : undefined,
        paths: stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
        spanGaps: !stepped,
        // A single value makes no line.
        points: { show: columns[number].filter((value) => value !== null).length === 1, size: 7, fill: style(figure, stepped ? "--planned" : `--series-${number + 1}`) },
      };
    });
    const axis = { stroke: quiet, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const chart = new uPlot({
      width: plot.clientWidth,
      height: HEIGHT,
      padding: [10, 32, 0, 0], // half of a label at the right end
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 8 } },
      scales: {
        x: { time: true, ...(times.length === 1 ? { range: [times[0] - 3600, times[0] + 3600] } : {}) },
        y: { range: (_, low, high) => [0, Math.max(high * 1.08, percent ? 1 : 4)] },
      },
      series: [{}, ...series],
      axes: [
        { ...axis, values: axisTime, space: 76, size: long ? 26 : 40, gap: 6, grid: { show: false } },
        {
          ...axis, size: (_, labels) => Math.max(percent ? 48 : 52, widest(labels)), gap: 6, space: 34,
          ...(percent ? {} : { incrs: WHOLE }),
          values: (_, values) => values.map((value) => (percent ? share.format(value / 100) : short.format(value))),
        },
      ],
      hooks: {
        drawAxes: [(now) => {
          // What comes after this line is planned.
          const time = Number(figure.dataset.now);
          if (time >= times[times.length - 1]) return;
          const x = Math.round(now.valToPos(time, "x", true));
          const { top, height } = now.bbox;
          now.ctx.save();
          now.ctx.fillStyle = style(figure, "--ahead");
          now.ctx.fillRect(x, top, now.bbox.left + now.bbox.width - x, height);
          now.ctx.restore();
        }],
        setCursor: [(now) => {
          const { idx, left } = now.cursor;
          const shown = idx !== null && idx !== undefined && left >= 0;
          tip.hidden = !shown;
          legend.forEach((each, number) => {
            if (!shown) each.textContent = latest[number];
            else {
              const value = columns[number][idx];
              each.textContent = value === null ? "–" : format(value);
            }
          });
          if (!shown) return;
          tip.textContent = moment.format(new Date(times[idx] * 1000));
          const room = now.over.clientWidth - tip.offsetWidth;
          tip.style.left = `${Math.max(0, Math.min(left - tip.offsetWidth / 2, room))}px`;
        }],
      },
    }, [times, ...columns], plot);
    chart.over.append(tip);
    charts.push({ chart, plot });
  };

  const drawAll = () => {
    for (const { chart } of charts) chart.destroy();
    charts = [];
    for (const figure of document.querySelectorAll("figure[data-chart]")) draw(figure);
  };

  isDark.addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    for (const { chart, plot } of charts) chart.setSize({ width: plot.clientWidth, height: HEIGHT });
  });
  // The page's script replaces the panel after a change.
  new MutationObserver((changes) => {
    const replaced = changes.some((change) => [...change.addedNodes].some((node) => node.id === "panel"));
    if (replaced) drawAll();
  }).observe(document.body, { childList: true });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.person[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  drawAll();
})();

"use strict";
// Draws every plot of the page and redraws its text and grid when the reader's theme changes.
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function themed(layout) {
  const axis = { gridcolor: color("--line"), linecolor: color("--line"), zerolinecolor: color("--line") };
  return {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: color("--ink"), size: 12, family: "system-ui, sans-serif" },
    hoverlabel: { bgcolor: color("--paper"), font: { color: color("--ink") } },
    xaxis: { ...layout.xaxis, ...axis },
    yaxis: { ...layout.yaxis, ...axis },
  };
}

function draw() {
  const config = { responsive: true, displayModeBar: false };
  return Promise.all(Object.entries(figures).map(([key, figure]) =>
    Plotly.react(document.getElementById(key), figure.data, themed(figure.layout), config)));
}

dark.addEventListener("change", draw);
draw().then(() => { document.documentElement.dataset.drawn = "yes"; });

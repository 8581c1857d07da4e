// Draws each figure once it comes near the screen, so that a long page opens at once.
"use strict";
// The library would offer to upload the data to its makers; nothing leaves this page.
const settings = {
  responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
};
const draw = (pane) => {
  const figure = JSON.parse(document.getElementById(pane.id + "-data").textContent);
  Plotly.newPlot(pane, figure.data, figure.layout, settings);
};
const drawOnSight = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (isIntersecting) { drawOnSight.unobserve(target); draw(target); }
  }
}, { rootMargin: "800px" });
document.querySelectorAll(".figure").forEach((pane) => drawOnSight.observe(pane));
// Paper has no scrolling.
window.addEventListener("beforeprint", () => document.querySelectorAll(".figure:empty").forEach(draw));

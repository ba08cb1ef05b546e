"use strict";
(() => {
  // The page is whole without this: it only filters, and opens what is folded before it is printed.
  const delay = 120;
  for (const bar of document.querySelectorAll(".filters")) {
    const list = document.getElementById(bar.dataset.of);
    const rows = Array.from(list.querySelectorAll("[data-state]"));
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const search = bar.querySelector("input[type=search]");
    const boxes = Array.from(bar.querySelectorAll("input[type=checkbox]"));
    const shown = bar.querySelector("output");
    const apply = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const states = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
      let count = 0;
      rows.forEach((row, at) => {
        const fits = (boxes.length === 0 || states.has(row.dataset.state)) && words.every((word) => texts[at].includes(word));
        if (row.hidden === fits) row.hidden = !fits;
        if (fits) count += 1;
      });
      shown.textContent = `${count} of ${rows.length} shown`;
    };
    let timer;
    search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(apply, delay); });
    for (const box of boxes) box.addEventListener("change", apply);
    bar.hidden = false;
    apply();
  }
  const open = (target) => {
    const element = target && document.getElementById(decodeURIComponent(target.slice(1)));
    if (element && element.tagName === "DETAILS") element.open = true;
  };
  addEventListener("hashchange", () => open(location.hash));
  open(location.hash);
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = Array.from(document.querySelectorAll("details:not([open])"));
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of folded) one.open = false; });
})();

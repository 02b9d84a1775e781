// Of several panels, the one that is chosen.
function choose(root) {
  const choice = root.querySelector("select"), panels = [...root.querySelectorAll(":scope > .panel")];
  if (!choice || root.classList.contains("chosen")) return;
  root.classList.add("chosen");
  const show = () => panels.forEach((panel, i) => { panel.hidden = i !== choice.selectedIndex; });
  choice.addEventListener("change", show);
  show();
}

function setUp(page) {
  page.querySelectorAll(".panels").forEach(choose);
  page.querySelectorAll(".what-if").forEach(whatIf);
  page.querySelectorAll("#two-runs").forEach(twoRuns);
}
setUp(document);

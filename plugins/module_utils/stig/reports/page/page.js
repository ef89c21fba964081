"use strict";
// Text from hosts reaches the page through textContent only.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const STATUSES = [
    ["f", "fail", "failed", "✗"], ["e", "error", "could not be checked", "!"], ["w", "waived", "waived", "W"],
    ["m", "manual", "to be checked by a person", "M"], ["t", "not_testable", "not testable here", "?"],
    ["n", "not_applicable", "not applicable", "–"], ["p", "pass", "passed", "✓"],
  ];
  const CHANGES = [
    ["n", "new", "new"], ["o", "still_open", "still open"], ["x", "fixed", "fixed"], ["w", "waived", "waived since"],
    ["u", "untested", "no longer tested"],
  ];
  const SEVERITIES = ["high", "medium", "low"];
  const STATUS = new Map(STATUSES.map((one) => [one[0], one]));
  const CHANGE = new Map(CHANGES.map((one) => [one[0], one]));
  const ROW = 24, COLUMN = 24, NAME = 330, TOP = 150, PAGE = 200, PRINTED = 5000;
  const at = (id) => document.getElementById(id);
  const make = (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role" || name === "scope") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
    return element;
  };
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const fill = (element, ...children) => element.replaceChildren(...children);

  const controls = data.controls.map(([id, rule, severity, title, rationale, remedy], index) => (
    { index, id, rule, severity: SEVERITIES[severity], title, rationale, remedy, words: `${id} ${rule} ${title}`.toLowerCase() }
  ));
  const hosts = data.hosts.map((host, index) => ({ ...host, index, words: host.name.toLowerCase() }));
  const detail = (host, control) => data.details[host.details[control.index]] || {};

  const everything = () => ({
    view: "hosts", host: "", control: "", change: "", severities: new Set(SEVERITIES), statuses: new Set(STATUSES.map((one) => one[0])),
  });
  let state = everything();
  let shown = { hosts: [], controls: [], cells: 0 };
  let listed = PAGE;

  const wanted = (host, control) => (
    state.severities.has(control.severity) && state.statuses.has(host.statuses[control.index])
    && (!state.change || host.changes[control.index] === state.change)
  );

  function select() {
    const host = state.host.toLowerCase().trim(), words = state.control.toLowerCase().split(/\s+/).filter(Boolean);
    const near = hosts.filter((one) => one.words.includes(host));
    const candidates = controls.filter((one) => state.severities.has(one.severity) && words.every((word) => one.words.includes(word)));
    const seen = new Set();
    let cells = 0;
    const kept = candidates.filter((control) => {
      let some = 0;
      for (const one of near) if (wanted(one, control)) { some += 1; seen.add(one.index); }
      cells += some;
      return some;
    });
    shown = { hosts: near.filter((one) => seen.has(one.index)), controls: kept, cells };
  }

  function show() {
    select();
    listed = PAGE;
    at("count").textContent = `${plural(shown.cells, "finding")} of ${plural(shown.controls.length, "control")} on ${plural(shown.hosts.length, "host")}`;
    for (const name of ["hosts", "matrix", "findings"]) at(`view-${name}`).hidden = state.view !== name;
    for (const button of at("views").children) button.setAttribute("aria-pressed", String(button.value === state.view));
    if (state.view === "hosts") drawHosts();
    if (state.view === "matrix") resetGrid();
    if (state.view === "findings") drawFindings(listed);
    remember();
  }

  // The address keeps the filters, so that a view can be linked to.
  function remember() {
    const fresh = everything(), parts = new URLSearchParams();
    for (const name of ["view", "host", "control", "change"]) if (state[name] !== fresh[name]) parts.set(name, state[name]);
    for (const name of ["severities", "statuses"]) if (state[name].size < fresh[name].size) parts.set(name, [...state[name]].join("."));
    if (at("detail").open) parts.set("open", at("detail").dataset.key);
    history.replaceState(null, "", parts.size ? `#${parts}` : "#");
  }

  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1)), fresh = everything();
    state = everything();
    for (const name of ["view", "host", "control", "change"]) if (parts.has(name)) state[name] = parts.get(name);
    if (!["hosts", "matrix", "findings"].includes(state.view)) state.view = "hosts";
    if (!CHANGE.has(state.change)) state.change = "";
    for (const name of ["severities", "statuses"]) {
      if (parts.has(name)) state[name] = new Set(parts.get(name).split(".").filter((one) => fresh[name].has(one)));
    }
    fields();
    const [host, control] = (parts.get("open") || "").split(",").map(Number);
    show();
    if (parts.has("open") && hosts[host] && controls[control]) open(hosts[host], controls[control]);
  }

  function fields() {
    for (const name of ["host", "control", "change"]) at(name).value = state[name];
    for (const box of at("severities").querySelectorAll("input")) box.checked = state.severities.has(box.value);
    for (const box of at("statuses").querySelectorAll("input")) box.checked = state.statuses.has(box.value);
  }

  const tally = (host, letters) => {
    const counts = {};
    for (const control of shown.controls) {
      if (!wanted(host, control)) continue;
      const key = letters(host, control);
      counts[key] = (counts[key] || 0) + 1;
    }
    return counts;
  };
  const cell = (value) => make("td", { className: "number" }, value || 0);
  const heads = (...names) => make("thead", {}, make("tr", {}, ...names.map(([name, number]) => (
    make("th", { scope: "col", className: number ? "number" : "" }, name)))));

  function drawHosts() {
    const body = make("tbody");
    const rows = shown.hosts.map((host) => {
      const open = tally(host, (one, control) => ("fe".includes(one.statuses[control.index]) ? control.severity : ""));
      return { host, open, status: tally(host, (one, control) => one.statuses[control.index]), change: tally(host, (one, control) => one.changes[control.index]) };
    });
    rows.sort((a, b) => SEVERITIES.map((one) => (b.open[one] || 0) - (a.open[one] || 0)).find((one) => one) || a.host.index - b.host.index);
    for (const { host, open, status, change } of rows) {
      const name = make("button", { type: "button", onclick: () => { Object.assign(state, { host: host.name, view: "findings" }); fields(); show(); } }, host.name);
      const notes = [...host.drift.map(([path, what]) => `changed since enforced: ${path} (${what})`), ...host.broken.map(([what, why]) => `not as enforced: ${what} ${why}`)];
      body.append(make("tr", {}, make("th", { scope: "row" }, name), ...SEVERITIES.map((one) => cell(open[one])), cell(status.w), cell(status.p),
        cell((status.m || 0) + (status.t || 0)), cell(status.n), make("td", { className: "number" }, host.before ? change.n || 0 : "first audit"),
        make("td", { className: "number" }, host.before ? change.x || 0 : ""), make("td", {}, host.system), make("td", { className: "seen" }, notes.join("\n"))));
    }
    fill(at("view-hosts"), make("table", {}, make("caption", { className: "hint" }, "Open findings by severity; the host with the most first"), heads(["Host"], ["High", 1], ["Medium", 1],
      ["Low", 1], ["Waived", 1], ["Passed", 1], ["Undecided", 1], ["Not applicable", 1], ["New", 1], ["Fixed", 1], ["System"], ["Notes"]), body));
  }

  // Open ones first, then what somebody has to look at, and what passed at the end; within these by severity.
  const ORDER = ["fe", "w", "m", "t", "n", "p"];
  function* matches() {
    for (const letters of ORDER) {
      for (const severity of SEVERITIES) {
        for (const control of shown.controls) {
          if (control.severity !== severity) continue;
          for (const host of shown.hosts) if (letters.includes(host.statuses[control.index]) && wanted(host, control)) yield [host, control];
        }
      }
    }
  }

  const line = (seen) => seen.map(([expected, found, where]) => `${where}: expected ${expected}; found ${found}`).join("\n");
  const waiver = (one) => (one ? `Waived by ${one[1] || "the profile"} ${one[2] ? `until ${one[2]}` : "without an end"}: ${one[0]}` : "");
  const badge = (letter) => make("span", { className: `status ${STATUS.get(letter)[1]}` }, `${STATUS.get(letter)[3]} ${STATUS.get(letter)[2]}`);

  function drawFindings(most) {
    const body = make("tbody");
    let number = 0;
    for (const [host, control] of matches()) {
      if (number >= most) break;
      number += 1;
      const more = detail(host, control), change = CHANGE.get(host.changes[control.index]);
      const text = [waiver(more.waiver), more.detail, line((more.seen || []).slice(0, 3))].filter(Boolean).join("\n");
      body.append(make("tr", {}, make("td", {}, control.severity), make("td", {}, badge(host.statuses[control.index])),
        make("td", { className: "control" }, make("button", { type: "button", onclick: () => open(host, control) }, control.id), make("div", {}, control.title)),
        make("td", {}, host.name), make("td", {}, change ? change[2] : ""), make("td", { className: "seen" }, text.slice(0, 600))));
    }
    const rest = shown.cells - number;
    const next = make("button", { type: "button", className: "more", hidden: !rest, onclick: () => { listed += PAGE; drawFindings(listed); } }, "Show more");
    const note = make("p", { className: "hint", hidden: !rest }, `${number} of ${shown.cells} findings are shown.`);
    fill(at("view-findings"), make("table", {}, heads(["Severity"], ["Status"], ["Control"], ["Host"], ["Since"], ["Evidence"]), body), note, next);
  }

  // The matrix draws the cells in sight only: 200 hosts by 194 controls are 38,800.
  const grid = at("grid"), sheet = at("sheet");
  let active = [0, 0], asked = false;

  function resetGrid() {
    active = [0, 0];
    grid.setAttribute("aria-rowcount", shown.controls.length + 1);
    grid.setAttribute("aria-colcount", shown.hosts.length + 1);
    sheet.style.width = `${NAME + shown.hosts.length * COLUMN + 150}px`;
    sheet.style.height = `${TOP + shown.controls.length * ROW}px`;
    grid.scrollTo(0, 0);
    drawGrid();
  }

  function drawGrid() {
    asked = false;
    const first = Math.max(0, Math.floor(grid.scrollTop / ROW) - 4), last = Math.min(shown.controls.length, Math.ceil((grid.scrollTop + grid.clientHeight) / ROW) + 4);
    const left = Math.max(0, Math.floor(grid.scrollLeft / COLUMN) - 4), right = Math.min(shown.hosts.length, Math.ceil((grid.scrollLeft + grid.clientWidth) / COLUMN) + 4);
    const focused = grid.contains(document.activeElement) && document.activeElement.classList.contains("cell");
    const top = make("div", { className: "row top", role: "row", "aria-rowindex": 1 }, make("div", { className: "name", role: "columnheader" }, "Control"));
    for (let column = left; column < right; column += 1) {
      const head = make("div", { className: "column", role: "columnheader", title: shown.hosts[column].name, "aria-colindex": column + 2 }, shown.hosts[column].name);
      head.style.left = `${NAME + column * COLUMN}px`;
      top.append(head);
    }
    const rows = [];
    for (let row = first; row < last; row += 1) {
      const control = shown.controls[row];
      const element = make("div", { className: "row", role: "row", "aria-rowindex": row + 2 },
        make("div", { className: "name", role: "rowheader", title: `${control.id} ${control.title}` }, `${control.severity[0].toUpperCase()} ${control.id} ${control.title}`));
      element.style.top = `${TOP + row * ROW}px`;
      for (let column = left; column < right; column += 1) element.append(square(row, column));
      rows.push(element);
    }
    fill(sheet, top, ...rows);
    if (focused) focusCell();
  }

  function square(row, column) {
    const host = shown.hosts[column], control = shown.controls[row], letter = host.statuses[control.index];
    const [, name, words, sign] = STATUS.get(letter) || ["", "absent", "not audited", " "];
    const change = CHANGE.get(host.changes[control.index]);
    const element = make("button", {
      type: "button", role: "gridcell", className: `cell ${name}${wanted(host, control) ? "" : " off"}${change && change[0] === "n" ? " new" : ""}`,
      tabIndex: row === active[0] && column === active[1] ? 0 : -1, "aria-colindex": column + 2,
      "aria-label": `${host.name}, ${control.id}: ${words}${change ? `, ${change[2]}` : ""}`, onclick: () => { active = [row, column]; open(host, control); },
    }, sign);
    element.style.left = `${NAME + column * COLUMN}px`;
    element.dataset.at = `${row},${column}`;
    return element;
  }

  function focusCell() {
    const element = sheet.querySelector(`[data-at="${active.join(",")}"]`);
    if (element) element.focus({ preventScroll: true });
  }

  grid.addEventListener("scroll", () => { if (!asked) { asked = true; requestAnimationFrame(drawGrid); } });
  grid.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-20, 0], PageDown: [20, 0], Home: [0, -1e9], End: [0, 1e9] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    active = [Math.min(Math.max(active[0] + step[0], 0), shown.controls.length - 1), Math.min(Math.max(active[1] + step[1], 0), shown.hosts.length - 1)];
    const y = active[0] * ROW, x = active[1] * COLUMN, height = grid.clientHeight - TOP, width = grid.clientWidth - NAME;
    const into = (now, place, size, unit) => (place < now ? place : place + unit > now + size ? place + unit - size : now);
    grid.scrollTo(into(grid.scrollLeft, x, width, COLUMN), into(grid.scrollTop, y, height, ROW));
    drawGrid();
    focusCell();
  });

  function open(host, control) {
    const more = detail(host, control), own = more.own || {}, letter = host.statuses[control.index], change = CHANGE.get(host.changes[control.index]);
    const part = (title, text) => (text ? [make("h3", {}, title), make("pre", {}, text)] : []);
    const table = (more.seen || []).length ? [make("h3", {}, "Evidence"), make("table", {}, heads(["Where"], ["Expected"], ["Found"]),
      make("tbody", {}, ...more.seen.map(([expected, found, where]) => make("tr", {}, ...[where, expected, found].map((text) => make("td", { className: "seen" }, text))))))] : [];
    const close = make("button", { type: "button", className: "close", onclick: () => at("detail").close() }, "Close");
    fill(at("detail"), close, make("h2", { id: "detail-title" }, `${control.id} on ${host.name}`), make("p", {}, own.title || control.title),
      make("p", {}, badge(letter || "t"), ` · ${own.severity || control.severity}${change ? ` · ${change[2]} since ${host.before}` : ""}${more.changed ? " · changed by this run" : ""}`),
      ...part("Waiver", waiver(more.waiver)), ...part("Detail", more.detail), ...table, ...part("Why", own.rationale || control.rationale),
      ...part("Remedy", own.remedy || control.remedy), make("p", { className: "hint" }, `${control.rule} · ${host.profile} · ${host.mode} at ${host.time} · ${host.system}`));
    at("detail").dataset.key = `${host.index},${control.index}`;
    if (!at("detail").open) at("detail").showModal();
    remember();
  }
  at("detail").addEventListener("close", () => { remember(); if (state.view === "matrix") focusCell(); });

  function tile(count, words, change) {
    const button = make("button", { type: "button", onclick: () => { state = Object.assign(everything(), { view: "findings" }, change()); fields(); show(); } }, make("b", {}, count), words);
    at("tiles").append(button);
  }

  function begin() {
    const total = data.totals;
    const profiles = [...new Set(hosts.map((one) => one.profile))].sort();
    at("about").textContent = `${plural(total.hosts, "host")}, ${plural(controls.length, "control")}, profile${profiles.length === 1 ? "" : "s"} ${profiles.join(", ")}, ${data.time}`;
    at("source").textContent = data.source ? `Held against: ${data.source}` : "";
    for (const severity of SEVERITIES) tile(total.open[severity], `${severity}, open`, () => ({ severities: new Set([severity]), statuses: new Set(["f", "e"]) }));
    tile(total.statuses.waived, "waived", () => ({ statuses: new Set(["w"]) }));
    tile(total.statuses.manual + total.statuses.not_testable, "undecided", () => ({ statuses: new Set(["m", "t"]) }));
    if (hosts.some((one) => one.before)) {
      for (const [letter, name, words] of CHANGES.slice(0, 3)) tile(total.changes[name], `${words} since the previous audit`, () => ({ change: letter }));
    }
    if (data.missing.length) {
      fill(at("missing"), make("h2", {}, `${data.missing.length} not audited`), make("ul", {}, ...data.missing.map(([host, why]) => make("li", { className: "error" }, `${host}: ${why}`))));
    }
    const box = (name, value, words) => make("label", {}, make("input", { type: "checkbox", value, name, checked: true }), ` ${words}`);
    at("severities").append(...SEVERITIES.map((one) => box("severities", one, one)));
    at("statuses").append(...STATUSES.map((one) => box("statuses", one[0], one[2])));
    fill(at("change"), make("option", { value: "" }, "anything"), ...CHANGES.map((one) => make("option", { value: one[0] }, one[2])));
    at("views").append(...["hosts", "matrix", "findings"].map((name) => make("button", { type: "button", value: name, onclick: () => { state.view = name; show(); } }, name[0].toUpperCase() + name.slice(1))));
    at("legend").textContent = `${STATUSES.map((one) => `${one[3]} ${one[2]}`).join(" · ")} · underlined: new`;
    at("filters").addEventListener("submit", (event) => event.preventDefault());
    at("filters").addEventListener("input", () => {
      for (const name of ["host", "control", "change"]) state[name] = at(name).value;
      for (const name of ["severities", "statuses"]) state[name] = new Set([...at(name).querySelectorAll("input:checked")].map((one) => one.value));
      show();
    });
    at("reset").addEventListener("click", () => { state = Object.assign(everything(), { view: state.view }); fields(); show(); });
    addEventListener("hashchange", recall);
    addEventListener("beforeprint", () => { drawHosts(); drawFindings(PRINTED); });
    addEventListener("afterprint", show);
    recall();
  }
  begin();
})();

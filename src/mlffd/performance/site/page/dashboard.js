// The page: what is chosen, and what is shown of it.
"use strict";

(() => {
  const { draw, element, swatch, table } = charts;
  const byId = (id) => document.getElementById(id);
  const short = (commit) => commit.slice(0, 8);

  const digits = (value, count = 3) => {
    const options = { maximumSignificantDigits: count, useGrouping: true };
    // Hundreds are not rounded away: 1,234 stays 1,234.
    return (Math.abs(value) >= 10 ** count ? Math.round(value) : value)
      .toLocaleString("en", Math.abs(value) >= 10 ** count ? {} : options);
  };
  const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  const percent = (share, count = 1) => `${share >= 0 ? "+" : "−"}${Math.abs(share * 100).toFixed(count)}%`;
  const perSecond = { name: "structures/s", tick: (v) => digits(v), plain: (v) => digits(v), show: (v) => `${digits(v)}/s` };
  const ofReference = {
    name: "% of the reference", tick: (v) => digits(v, 4), plain: (v) => v.toFixed(1), show: (v) => `${v.toFixed(1)}%`, baseline: 100,
  };
  const error = (unit) => ({ name: unit, tick: (v) => digits(v), plain: (v) => digits(v, 4), show: (v) => `${digits(v, 4)} ${unit}` });

  const commits = {
    name: "commit",
    tick: (index) => (stored.commits[index] ? stored.commits[index].commit.slice(0, 7) : ""),
    title: (index) => {
      const commit = stored.commits[index];
      return { heading: `${short(commit.commit)} · ${commit.date}`, text: commit.subject };
    },
  };
  const batches = {
    name: "batch size", log: true, tick: (size) => String(size),
    title: (size) => ({ heading: `batch of ${size}`, text: "molecules of 16 atoms" }),
  };

  function commitLink(commit) {
    const code = element("code", { text: short(commit) });
    if (!stored.commit_url) return code;
    return element("a", { href: stored.commit_url + commit, children: [code] });
  }

  const choice = {};
  const controls = { machine: byId("machine"), program: byId("program"), system: byId("system") };

  /** Fill a list; keep what was chosen where it is still there. */
  function offer(name, values, show, preferred) {
    const wanted = [choice[name], ...preferred].find((value) => values.includes(value));
    choice[name] = wanted ?? values[0];
    controls[name].replaceChildren(...values.map((value) => element("option", { value, text: show(value) })));
    controls[name].value = choice[name] ?? "";
    controls[name].disabled = values.length < 2;
  }

  function offerAll() {
    const machines = stored.machines.map((one) => one.name);
    const newest = [...machines].sort((a, b) => series.newestCommit(b) - series.newestCommit(a));
    offer("machine", machines, (name) => name, newest);
    offer("program", series.programs(choice.machine), (name) => name.split("/").join(" · "), ["eager/fp32/cpu", "eager/fp32/cuda"]);
    offer("system", series.systems(choice.machine, choice.program), systemName, ["batch32", "batch8", "batch1"]);
  }

  function systemName(system) {
    const [, kind, count] = system.match(/^(batch|atoms)(\d+)$/) || [];
    if (kind === "batch") return `batch of ${count}`;
    return kind === "atoms" ? `one structure of ${Number(count).toLocaleString("en")} atoms` : system;
  }

  function show() {
    offerAll();
    history.replaceState(null, "", `#${new URLSearchParams(choice)}`);
    const pinned = series.reference(choice.machine);
    byId("now").textContent = nowText(pinned);
    byId("tiles").replaceChildren(...series.students.map(tile).filter((one) => one));
    showThroughput(pinned);
    for (const [id, quantity, unit] of [["forces", "force_rmse", "meV/Å"], ["energies", "energy_rmse", "meV/atom"]]) {
      const marks = marksOf((step) => step.quantity === "accuracy" && step.name.endsWith(`: ${quantity}`));
      draw(byId(id), {
        title: byId(`${id}-title`).textContent, series: series.accuracy(choice.machine, quantity), x: commits, y: error(unit), marks,
      });
    }
    showCurves();
    showSteps();
    showLatest();
    byId("devices").replaceChildren(...stored.machines.map(device));
  }

  function nowText(pinned) {
    const newest = stored.commits[series.newestCommit(choice.machine)];
    const against = pinned ? `, against the reference ${short(pinned.commit)}` : "";
    return newest ? `at ${short(newest.commit)} of ${newest.date}${against}` : "";
  }

  function tile(student) {
    const of = (found) => found.find((one) => one.student === student);
    const ratio = of(series.ratios(choice));
    const seconds = of(series.seconds(choice));
    const forces = stored.accuracy.find((one) => one.machine === choice.machine && one.student === student && one.quantity === "force_rmse");
    if (!ratio && !seconds && !forces) return null;
    const lines = [];
    if (seconds) {
      const value = element("p", { class: "value", text: digits(1 / seconds.points.at(-1)[1]) });
      value.append(element("small", { text: " structures/s" }));
      lines.push(value);
    }
    if (ratio) {
      const [, value, low, high] = ratio.points.at(-1);
      const change = 1 / value - 1;
      const clear = low > 1 ? "bad" : high < 1 ? "good" : null;
      lines.push(element("p", {
        children: [element("strong", { class: clear, text: percent(change) }),
                   new Text(` throughput (95%: ${percent(1 / high - 1)} to ${percent(1 / low - 1)})`)],
      }));
    }
    if (forces) lines.push(element("p", { text: `force RMSE ${digits(forces.points.at(-1)[1] * 1000, 4)} meV/Å` }));
    return element("div", {
      class: "tile",
      children: [element("h3", { children: [swatch(series.colorOf(student)), new Text(student)] }), ...lines],
    });
  }

  /** Steps as marks; per cent are of seconds, counts or errors, of all of which more is worse. */
  const marksOf = (wanted) => series.steps(choice.machine).filter((step) => step.standing !== "small" && wanted(step)).map((step) => ({
    x: step.index, name: step.name, good: step.after < step.before,
    text: `${step.name.split(/[/:]/)[0]} ${step.change === null ? "from 0" : percent(step.change, 0)}`,
  }));

  function showThroughput(pinned) {
    const isRelative = document.querySelector("#unit input:checked").value === "relative";
    const names = new Set(series.ratios(choice).map((one) => one.name));
    const marks = marksOf((step) => step.quantity === "time" && names.has(step.name));
    byId("throughput-note").textContent = isRelative
      ? `${pinned ? `100% is the reference ${short(pinned.commit)}, measured in the same job` : "No reference yet"}; `
        + "shaded: 95% interval; higher is better"
      : "As asv measured it, whatever else the machine did; higher is better";
    draw(byId("throughput"), {
      title: "Throughput over commits",
      series: isRelative ? series.relative(choice) : series.absolute(choice),
      x: commits,
      y: isRelative ? ofReference : perSecond,
      // Said of time, as the history gate does: half as fast again is a third off the throughput.
      marks: marks.map((mark) => ({ ...mark, text: `${mark.text} time` })),
    });
  }

  function showCurves() {
    const found = series.students.map((student) => ({ student, ...series.curves(choice, student) })).filter((one) => one.now.length);
    const hosts = found.map((one) => {
      const host = element("div", { class: "chart", "data-student": one.student });
      return [one, host, element("section", { class: "card", children: [element("h3", { text: one.student }), host] })];
    });
    for (const old of byId("curves").querySelectorAll(".chart")) draw(old, { series: [] });
    byId("curves").replaceChildren(...hosts.map(([, , card]) => card));
    if (!found.length) byId("curves").append(element("p", { class: "nothing card", text: "asv has no batch sizes for this choice." }));
    byId("curves-note").textContent = "Molecules of 16 atoms, structures per second, as asv measured it; higher is better";
    for (const [one, host] of hosts) {
      const shown = [{ name: `now (${short(stored.commits[one.newest].commit)})`, color: series.colorOf(one.student), points: one.now }];
      if (one.then.length) {
        shown.push({ name: `reference (${short(stored.commits[one.reference].commit)})`, color: series.colorOf(one.student), dashed: true, points: one.then });
      }
      draw(host, { title: `Throughput of ${one.student} by batch size`, series: shown, x: batches, y: { ...perSecond, log: true } });
    }
  }

  function showSteps() {
    const columns = [{ name: "what" }, { name: "series", kind: "text" }, { name: "change", kind: "number" },
                     { name: "first commit after it" }, { name: "subject", kind: "text" }];
    const rows = series.steps(choice.machine).map((step) => {
      const commit = stored.commits[step.index];
      const where = element("span", { children: [commitLink(commit.commit)] });
      if (step.candidates > 1) where.append(` or one of the ${step.candidates - 1} before it, after ${short(step.last_good)}`);
      return [
        element("span", { class: `pill ${step.standing}`, text: step.standing }),
        step.name, step.change === null ? "from 0" : percent(step.change), where,
        step.reason ? `${commit.subject} (accepted: ${step.reason})` : commit.subject,
      ];
    });
    byId("steps").replaceChildren(rows.length ? table(columns, rows, "Change points")
      : element("p", { class: "nothing", text: nothingText() }));
  }

  function nothingText() {
    return stored.judged.includes(choice.machine)
      ? "No series of this machine that was judged has changed its level."
      : "Nothing of this machine is judged: it has too few ratios to the reference, or none of late.";
  }

  function showLatest() {
    const found = series.newestOnly(stored.ratios.filter((one) => one.machine === choice.machine));
    const key = (one) => [one.student, one.program, one.device, one.system].join("/");
    const rows = new Map(found.map((one) => [key(one), { ...one, ratio: one.points.at(-1) }]));
    for (const one of stored.seconds.filter((candidate) => candidate.machine === choice.machine)) {
      rows.set(key(one), { ...(rows.get(key(one)) || one), page: one.page, time: one.points.at(-1) });
    }
    const ordered = [...rows.values()].sort((a, b) =>
      a.student.localeCompare(b.student) || series.program(a).localeCompare(series.program(b)) || series.bySystem(a.system, b.system));
    byId("latest-commit").textContent = "each at the last commit that it was measured at";
    const columns = [{ name: "student" }, { name: "runtime" }, { name: "system" }, { name: "structures/s", kind: "number" },
                     { name: "throughput against the reference", kind: "number" }, { name: "95% interval", kind: "number" }, { name: "history" }];
    byId("latest").replaceChildren(table(columns, ordered.map((one) => {
      const [, ratio, low, high] = one.ratio || [];
      const clear = low > 1 ? "bad" : high < 1 ? "good" : null;
      return [
        one.student, series.program(one).split("/").join(" · "), systemName(one.system),
        one.time ? digits(1 / one.time[1]) : "–",
        one.ratio ? element("span", { class: clear, text: percent(1 / ratio - 1) }) : "–",
        one.ratio ? `${percent(1 / high - 1)} to ${percent(1 / low - 1)}` : "–",
        stored.asv && one.page ? element("a", { href: stored.asv + one.page, text: "asv" }) : "–",
      ];
    }), "All benchmarks"));
  }

  const FACTS = { num_cpu: "processors", cpu: "processor", processor: "processor", arch: "architecture", os: "system", ram: "memory" };

  function device(machine) {
    // Ratios and asv may both have noted the processor.
    const twice = machine.facts.some(([name]) => name === "processor");
    const facts = machine.facts.filter(([name]) => !(twice && name === "cpu")).map(([name, value]) => [FACTS[name] || name.replaceAll("_", " "),
                                                       name === "ram" && /^\d+$/.test(value) ? memory(Number(value)) : value]);
    return element("div", {
      class: "device",
      children: [element("h3", { text: machine.name }),
                 element("dl", { children: facts.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]) })],
    });
  }

  const memory = (bytes) => `${digits(bytes / 2 ** 30)} GiB`;

  function start() {
    byId("project").textContent = stored.project;
    document.title = `${stored.project}: speed and accuracy over commits`;
    const newest = stored.commits.at(-1);
    const left = stored.left_out ? `; ${counted(stored.left_out, "stored result")} of commits outside of this history` : "";
    byId("summary").textContent = newest
      ? `${counted(stored.commits.length, "commit")}, the newest ${short(newest.commit)} of ${newest.date}: ${newest.subject}${left}`
      : `no commits${left}`;
    byId("written").textContent = `Written ${stored.written}.`;
    if (stored.asv) {
      byId("asv-links").hidden = false;
      for (const link of document.querySelectorAll("[data-asv]")) link.href = stored.asv + link.dataset.asv;
    }
    if (!newest) {
      byId("empty").hidden = false;
      return;
    }
    byId("shown").hidden = false;
    Object.assign(choice, Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
    if (!stored.ratios.length) document.querySelector("#unit input[value=absolute]").checked = true;
    for (const [name, control] of Object.entries(controls)) {
      control.addEventListener("change", () => { choice[name] = control.value; show(); });
    }
    byId("unit").addEventListener("change", show);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    show();
  }

  start();
})();

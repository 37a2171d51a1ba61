// What is plotted, out of what is stored: the page's numbers are all made here.
"use strict";

const stored = JSON.parse(document.getElementById("data").textContent);

const series = (() => {
  const unique = (values) => [...new Set(values)];
  const last = (points) => points.at(-1)[0];

  const systemOrder = (name) => {
    const [, kind, count] = name.match(/^(\D*)(\d*)$/) || [null, name, ""];
    return [["batch", "atoms"].indexOf(kind) + 1 || 3, Number(count)];
  };
  const bySystem = (a, b) => {
    const [[kindA, countA], [kindB, countB]] = [systemOrder(a), systemOrder(b)];
    return kindA - kindB || countA - countB || a.localeCompare(b);
  };

  const students = unique([...stored.ratios, ...stored.seconds, ...stored.accuracy].map((one) => one.student)).sort();
  const colorOf = (student) => students.indexOf(student);
  const program = (one) => `${one.program}/${one.device}`;
  const timed = (machine) => [...stored.ratios, ...stored.seconds].filter((one) => one.machine === machine);
  const programs = (machine) => unique(timed(machine).map(program)).sort();
  const systems = (machine, wanted) =>
    unique(timed(machine).filter((one) => program(one) === wanted).map((one) => one.system)).sort(bySystem);

  /** Of several references the one that the newest commit was held against. */
  function newestOnly(found) {
    const newest = new Map();
    for (const one of found) {
      const known = newest.get(one.name);
      if (!known || last(one.points) >= last(known.points)) newest.set(one.name, one);
    }
    return [...newest.values()];
  }

  const matches = (one, choice) =>
    one.machine === choice.machine && program(one) === choice.program && one.system === choice.system;
  const ratios = (choice) => newestOnly(stored.ratios.filter((one) => matches(one, choice)));
  const seconds = (choice) => stored.seconds.filter((one) => matches(one, choice));
  const byStudent = (a, b) => colorOf(a.student) - colorOf(b.student);

  /** Per cent of the reference's throughput: seconds turn over, and so do the ends of intervals. */
  const relative = (choice) => ratios(choice).sort(byStudent).map((one) => ({
    name: one.student,
    color: colorOf(one.student),
    points: one.points.map(([at, ratio, low, high]) => [at, 100 / ratio, 100 / high, 100 / low]),
  }));

  /** Structures per second. */
  const absolute = (choice) => seconds(choice).sort(byStudent).map((one) => ({
    name: one.student,
    color: colorOf(one.student),
    points: one.points.map(([at, value]) => [at, 1 / value]),
  }));

  /** Errors in thousandths of what is stored: meV. */
  const accuracy = (machine, quantity) =>
    stored.accuracy.filter((one) => one.machine === machine && one.quantity === quantity).sort(byStudent).map((one) => ({
      name: one.student,
      color: colorOf(one.student),
      points: one.points.map(([at, value]) => [at, value * 1000]),
    }));

  /** Of one student: structures per second by batch size, of the newest commit and of the reference. */
  function curves(choice, student) {
    const found = stored.seconds.filter((one) => one.machine === choice.machine && program(one) === choice.program
      && one.student === student && one.batch !== null);
    const at = (commit) => found
      .map((one) => [one.batch, one.points.find((point) => point[0] === commit)])
      .filter(([, point]) => point)
      .map(([batch, point]) => [batch, 1 / point[1]])
      .sort((a, b) => a[0] - b[0]);
    const newest = Math.max(-1, ...found.map((one) => last(one.points)));
    const pinned = reference(choice.machine);
    const before = pinned && pinned.index !== null ? pinned.index : -1;
    return { newest, reference: before, now: at(newest), then: before === newest ? [] : at(before) };
  }

  /** The reference of the newest ratios of a machine. */
  function reference(machine) {
    const found = stored.ratios.filter((one) => one.machine === machine);
    if (!found.length) return null;
    const newest = found.reduce((a, b) => (last(b.points) >= last(a.points) ? b : a));
    return stored.references.find((one) => one.commit === newest.reference);
  }

  const steps = (machine) => stored.steps.filter((one) => one.machine === machine);
  const newestCommit = (machine) => Math.max(-1, ...[...timed(machine), ...stored.accuracy.filter((one) => one.machine === machine)]
    .map((one) => last(one.points)));

  return { absolute, accuracy, bySystem, colorOf, curves, newestCommit, newestOnly, program, programs, ratios, reference,
           relative, seconds, steps, students, systems };
})();

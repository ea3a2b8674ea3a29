// What differs between two lists of tokens, by Myers' algorithm (An O(ND) difference algorithm, 1986).

const MOST_EDITS = 1500; // beyond that the texts have nothing to do with each other

/** Two lists of booleans: whether each token of the first, and of the second, is missing in the other. */
function differences(first, second) {
  let start = 0;
  while (start < first.length && start < second.length && first[start] === second[start]) start++;
  let end = 0;
  const room = Math.min(first.length, second.length) - start;
  while (end < room && first[first.length - 1 - end] === second[second.length - 1 - end]) end++;
  const gone = first.map((_, i) => i >= start && i < first.length - end);
  const come = second.map((_, i) => i >= start && i < second.length - end);
  const common = commonTokens(first.slice(start, first.length - end), second.slice(start, second.length - end));
  for (const [i, j] of common) gone[start + i] = come[start + j] = false;
  return [gone, come];
}

/** Pairs of places at which both lists have the same token, rising in both; none where they differ in too much. */
function commonTokens(a, b) {
  if (!a.length || !b.length) return [];
  const most = Math.min(a.length + b.length, MOST_EDITS);
  const reach = new Int32Array(2 * most + 3); // reach[k + most + 1]: how far along `a` diagonal k has come
  const trace = [];
  for (let edits = 0; edits <= most; edits++) {
    trace.push(reach.slice(most + 1 - edits, most + 2 + edits));
    for (let k = -edits; k <= edits; k += 2) {
      const at = k + most + 1;
      const down = k === -edits || (k !== edits && reach[at - 1] < reach[at + 1]);
      let x = down ? reach[at + 1] : reach[at - 1] + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach[at] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, trace, edits);
    }
  }
  return [];
}

function walkBack(a, b, trace, edits) {
  const pairs = [];
  let x = a.length;
  let y = b.length;
  for (let d = edits; d >= 0; d--) {
    const reach = (k) => (Math.abs(k) <= d ? trace[d][k + d] : -1);
    const k = x - y;
    const down = k === -d || (k !== d && reach(k - 1) < reach(k + 1));
    const fromK = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : reach(fromK);
    const fromY = d === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY && a[x - 1] === b[y - 1]) pairs.push([--x, --y]);
    x = fromX;
    y = fromY;
  }
  return pairs;
}

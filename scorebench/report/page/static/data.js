// The packed data: base64 of gzip of JSON in script elements that do not run. The first element is the index.

const overview = JSON.parse(byId("overview-data").textContent);
const packed = [...document.querySelectorAll("script.packed")];
const groupOf = (key) => overview.groups.find((group) => group.key === key) || overview.groups[0];

async function unpack(number) {
  const text = packed[number].textContent;
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const blocks = new Map();
function block(number) {
  if (!blocks.has(number)) blocks.set(number, unpack(number + 1));
  return blocks.get(number);
}
async function textsOf(episode) {
  const found = await block(episode.block);
  return { ...found.episodes[episode.at], reference: found.references[episode.problem] };
}

let indexes; // what the filters need of every episode, by group
async function readIndex() {
  indexes = await unpack(0);
  indexes.forEach((index, place) => {
    const rows = overview.groups[place].rows;
    const labelOf = new Map(rows.flatMap((row) => row.runs.map((run) => [run, row.label])));
    index.methods = index.runs.map((run) => labelOf.get(run.name));
    index.key = overview.groups[place].key;
  });
}

const made = new Map();
/** Every episode of a group, in the order of its problems. */
function episodesOf(key) {
  if (!made.has(key)) {
    const index = indexes.find((one) => one.key === key) || indexes[0];
    const { run, problem, sample, flip, flags, block, at } = index.columns;
    made.set(key, run.map((r, i) => ({
      run: index.runs[r].name, seed: index.runs[r].seed, method: index.methods[r],
      problem: problem[i], id: index.problems[problem[i]], tags: index.tags[problem[i]],
      sample: sample[i], flip: flip[i], flags: flags[i], block: block[i], at: at[i],
    })));
  }
  return made.get(key);
}

/** What all prompts of a group begin with. */
const instructionOf = (key) => indexes.find((one) => one.key === key).instruction;

const nameOf = (episode) => [episode.run, episode.sample, episode.id].join("~");
const isRight = (episode) => ["ic", "cc", "c"].includes(episode.flip);

const partners = new Map();
/** For a method of a group: the episode on the same problem, seed and sample, else the nearest there is. */
function partnerOf(key, episode, method) {
  if (!partners.has(key)) {
    const found = new Map();
    for (const one of episodesOf(key)) {
      for (const name of [[one.method, one.id, one.seed, one.sample], [one.method, one.id]].map((words) => words.join("~"))) {
        if (!found.has(name)) found.set(name, one);
      }
    }
    partners.set(key, found);
  }
  const found = partners.get(key);
  const exact = found.get([method, episode.id, episode.seed, episode.sample].join("~"));
  return exact || found.get([method, episode.id].join("~"));
}

/** Right and wrong at attempt 2, of the other method and then of this one: "ci" is right there, wrong here. */
function cellOf(key, episode, other) {
  const partner = partnerOf(key, episode, other);
  if (!partner || partner.flip === "error" || episode.flip === "error") return "";
  return (isRight(partner) ? "c" : "i") + (isRight(episode) ? "c" : "i");
}

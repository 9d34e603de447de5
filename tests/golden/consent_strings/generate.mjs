// Writes golden.json: consent strings by IAB's own encoders, with what its decoders read in them.
// The vendor list is made up; the same run gives the same bytes, as all chance is seeded.
import { createRequire } from "node:module";
import { GVL, PurposeRestriction, RestrictionType, TCModel, TCString } from "@iabtcf/core";

const require = createRequire(import.meta.url);
// The package exports its command queue only, so its encoder is read as a file.
const folder = require.resolve("@iabgpp/cmpapi").replace(/lib\/cjs\/.*$/, "lib/cjs/encoder/");
const { GppModel } = require(folder + "GppModel.js");
const { Sections } = require(folder + "section/Sections.js");

const FIRST_DAY = Date.UTC(2024, 0, 1);
const DAY_MS = 86_400_000;
const VENDORS = 1_300;

let state = 20_260;
const random = () => {
  // Lehmer's generator modulo 2**31 - 1 with multiplier 48271.
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
};
const below = (most) => Math.floor(random() * most);
const chosen = (ids, share) => ids.filter(() => random() < share);
const upTo = (most) => Array.from({ length: most }, (_, n) => n + 1);

// -- a vendor list ----------------------------------------------------------------------------

const named = (most) =>
  Object.fromEntries(
    upTo(most).map((id) => [id, { id, name: `number ${id}`, description: "", illustrations: [] }])
  );

const vendor = (id) => ({
  id,
  name: `vendor ${id}`,
  purposes: [1, 3, 4, 5, 6],
  legIntPurposes: [2, 7, 8, 9, 10, 11],
  flexiblePurposes: [2, 7, 8, 9, 10, 11],
  specialPurposes: [1],
  features: [1, 2],
  specialFeatures: [1],
  urls: [],
  usesCookies: true,
  cookieMaxAgeSeconds: 86_400,
  usesNonCookieAccess: false,
});

const list = () =>
  new GVL({
    gvlSpecificationVersion: 3,
    vendorListVersion: 141,
    tcfPolicyVersion: 5,
    lastUpdated: "2026-01-01T00:00:00Z",
    purposes: named(11),
    specialPurposes: named(3),
    features: named(3),
    specialFeatures: named(2),
    dataCategories: named(11),
    stacks: {},
    vendors: Object.fromEntries(upTo(VENDORS).map((id) => [id, vendor(id)])),
  });

// -- TC strings -------------------------------------------------------------------------------

const ids = (vector) => [...vector].filter(([, is]) => is).map(([id]) => id).sort((a, b) => a - b);

// An interval for what goes on without a gap: [first, last], as long lists say little to readers.
const intervals = (sorted) =>
  sorted.reduce((made, id) => {
    const last = made.at(-1);
    if (last !== undefined && last[1] === id - 1) last[1] = id;
    else made.push([id, id]);
    return made;
  }, []);

function restricted(model) {
  const map = model.publisherRestrictions;
  const made = new Map();
  for (const id of upTo(VENDORS)) {
    for (const one of map.getRestrictions(id)) {
      const key = `${one.purposeId}/${one.restrictionType}`;
      made.set(key, [...(made.get(key) ?? []), id]);
    }
  }
  return [...made].sort().map(([key, found]) => {
    const [purpose, kind] = key.split("/").map(Number);
    return { purpose, kind, vendors: intervals(found) };
  });
}

const read = (string) => {
  const model = TCString.decode(string);
  return {
    version: model.version,
    last_updated_ms: model.lastUpdated.getTime(),
    cmp_id: model.cmpId,
    vendor_list_version: model.vendorListVersion,
    policy_version: model.policyVersion,
    is_service_specific: model.isServiceSpecific,
    special_features: ids(model.specialFeatureOptins),
    purpose_consents: ids(model.purposeConsents),
    purpose_interests: ids(model.purposeLegitimateInterests),
    vendor_consents: intervals(ids(model.vendorConsents)),
    vendor_interests: intervals(ids(model.vendorLegitimateInterests)),
    disclosed: string.split(".").length > 1 ? intervals(ids(model.vendorsDisclosed)) : null,
    restrictions: restricted(model),
  };
};

function tcString(said) {
  const model = new TCModel(list());
  model.cmpId = 1 + below(400);
  model.cmpVersion = 1 + below(60);
  model.consentLanguage = "EN";
  model.publisherCountryCode = "DE";
  model.isServiceSpecific = true;
  const updated = new Date(FIRST_DAY + (said.day ?? below(1_000)) * DAY_MS);
  model.purposeConsents.set(said.consents ?? []);
  model.purposeLegitimateInterests.set(said.interests ?? []);
  model.specialFeatureOptins.set(said.features ?? []);
  model.vendorConsents.set(said.vendors ?? []);
  model.vendorLegitimateInterests.set(said.vendorInterests ?? said.vendors ?? []);
  for (const [purpose, kind, vendors] of said.restrictions ?? []) {
    const restriction = new PurposeRestriction(purpose, kind);
    for (const id of vendors) model.publisherRestrictions.add(id, restriction);
  }
  const segments = ["core"];
  if (said.disclosed) {
    model.vendorsDisclosed.set(said.disclosed);
    segments.push("vendorsDisclosed");
  }
  model.created = updated;
  model.lastUpdated = updated;
  return TCString.encode(model, { segments, version: 2, isForVendors: false });
}

const EVERY = upTo(VENDORS);
const PURPOSES = upTo(11);
const ALL = { consents: PURPOSES, interests: [2, 7, 8, 9, 10, 11], features: [1, 2] };
const { NOT_ALLOWED, REQUIRE_CONSENT, REQUIRE_LI } = RestrictionType;

const TCF = {
  "everything, all vendors": { ...ALL, vendors: EVERY },
  "nothing at all": {},
  "one vendor": { ...ALL, vendors: [712] },
  "the last vendor": { ...ALL, vendors: [VENDORS] },
  "few vendors, as ranges": { ...ALL, vendors: [...upTo(9), 20, ...EVERY.slice(99, 900)] },
  "even vendors, as bits": { ...ALL, vendors: EVERY.filter((id) => id % 2 === 0) },
  "consent, no legitimate interest": { consents: PURPOSES, vendors: EVERY, vendorInterests: [] },
  "legitimate interest alone": { interests: [2, 7, 8, 9, 10], vendors: [], vendorInterests: EVERY },
  "vendors without purposes": { vendors: EVERY },
  "disclosed": { ...ALL, day: 900, vendors: [5, 6, 7, 712], disclosed: [...upTo(7), 712] },
  "disclosed to nobody we know": { ...ALL, day: 900, vendors: EVERY, disclosed: [1, 2] },
  "a purpose that the publisher forbids": {
    ...ALL, vendors: EVERY, restrictions: [[3, NOT_ALLOWED, [711, 712, 713]]],
  },
  "every purpose restricted": {
    ...ALL,
    vendors: EVERY,
    restrictions: PURPOSES.map((p) => [p, p % 2 ? NOT_ALLOWED : REQUIRE_CONSENT, EVERY]),
  },
  "consent required for 2 and 7": {
    ...ALL,
    vendors: EVERY,
    restrictions: [[2, REQUIRE_CONSENT, [1, 2, 712]], [7, REQUIRE_CONSENT, upTo(VENDORS)]],
  },
  "legitimate interest required": {
    ...ALL, vendors: EVERY, restrictions: [[2, REQUIRE_LI, [712]], [9, REQUIRE_LI, [9]]],
  },
};
for (let n = 0; n < 25; n += 1) {
  const share = random() * random();
  const many = upTo(1 + below(VENDORS));
  TCF[`chance ${n}`] = {
    consents: chosen(PURPOSES, 0.7),
    interests: chosen([2, 7, 8, 9, 10, 11], 0.7),
    features: chosen([1, 2], 0.5),
    vendors: chosen(many, share),
    vendorInterests: chosen(many, random()),
    disclosed: random() < 0.5 ? many : undefined,
    restrictions: chosen(PURPOSES, 0.3).map((purpose) => [
      purpose, below(2), chosen(EVERY, random() * 0.02),
    ]),
  };
}

// -- GPP --------------------------------------------------------------------------------------

const STATES = [
  "usnat", "usca", "usva", "usco", "usut", "usct", "usfl", "usmt", "usor", "ustx", "usde", "usia",
  "usne", "usnh", "usnj", "ustn", "usmn", "usmd", "usin", "usky", "usri",
];
const NOT_VALUES = /Segment|^Version$|^MspaVersion$/;

function fillState(model, name, value) {
  model.setFieldValue(name, "MspaCoveredTransaction", 2);
  for (const [field, was] of Object.entries(model.getSection(name)).flatMap(flat)) {
    if (NOT_VALUES.test(field)) continue;
    if (field === "MspaCoveredTransaction") continue;
    if (field === "Gpc") model.setFieldValue(name, field, value(field) === 1);
    else if (Array.isArray(was)) model.setFieldValue(name, field, was.map(() => value(field)));
    else model.setFieldValue(name, field, value(field));
  }
}

// toObj gives one object a segment, or the fields themselves where there is one segment.
const flat = ([key, held]) =>
  held !== null && typeof held === "object" && !Array.isArray(held) ? Object.entries(held) : [[key, held]];

function gpp(fill) {
  const model = new GppModel();
  fill(model);
  const string = model.encode();
  const again = new GppModel(string);
  const fields = {};
  for (const id of again.getSectionIds()) {
    const name = Sections.SECTION_ID_NAME_MAP.get(id);
    const section = Object.entries(again.getSection(name)).flatMap(flat);
    fields[id] = { string: again.encodeSectionById(id), ...Object.fromEntries(section) };
    for (const key of Object.keys(fields[id])) {
      if (/Segment(Type|Included)$|^Created$|^LastUpdated$/.test(key)) delete fields[id][key];
      else if (/^Vendor(Express|Implied)/.test(key)) fields[id][key] = intervals(fields[id][key]);
    }
  }
  return { string, sections: fields };
}

const GPPS = {};
GPPS["no section"] = () => {};
for (const name of STATES) {
  GPPS[`${name}: nobody opted out`] = (model) => fillState(model, name, quiet);
  GPPS[`${name}: chance`] = (model) => fillState(model, name, () => below(3));
}
function quiet(field) {
  if (/Child|Personal|Additional|Mspa|Gpc/.test(field)) return 0;
  return /Notice$/.test(field) ? 1 : /OptOut$|Sensitive/.test(field) ? 2 : 0;
}
GPPS["usnat version 1"] = (model) => {
  model.setFieldValue("usnat", "Version", 1);
  fillState(model, "usnat", quiet);
};
GPPS["uspv1"] = (model) => {
  model.setFieldValue("uspv1", "Version", 1);
  model.setFieldValue("uspv1", "Notice", "Y");
  model.setFieldValue("uspv1", "OptOutSale", "N");
  model.setFieldValue("uspv1", "LspaCovered", "N");
};
const europe = (model) => model.decodeSection("tcfeuv2", tcString({ ...TCF["one vendor"], day: 3 }));
GPPS["tcfeuv2"] = europe;
GPPS["tcfeuv2, uspv1, usnat and all states"] = (model) => {
  europe(model);
  GPPS["uspv1"](model);
  for (const name of STATES) fillState(model, name, quiet);
};
GPPS["uspv1 and ustx"] = (model) => {
  GPPS["uspv1"](model);
  fillState(model, "ustx", quiet);
};

const canada = (said) => (model) => {
  const set = (field, value) => model.setFieldValue("tcfcav1", field, value);
  const bits = (most, on) => upTo(most).map((id) => on.includes(id));
  const then = new Date(FIRST_DAY);
  set("PurposesExpressConsent", bits(24, said.express ?? []));
  set("PurposesImpliedConsent", bits(24, said.implied ?? []));
  set("SpecialFeatureExpressConsent", bits(12, []));
  set("VendorExpressConsent", said.vendors ?? []);
  set("VendorImpliedConsent", said.vendorsImplied ?? []);
  if (said.disclosed) set("DisclosedVendors", said.disclosed);
  // Setting any other field moves both dates to today.
  set("LastUpdated", then);
  set("Created", then);
};
GPPS["tcfcav1: nothing"] = canada({});
GPPS["tcfcav1: ranges"] = canada({ express: PURPOSES, vendors: [712, 1300], vendorsImplied: [3] });
GPPS["tcfcav1: bits"] = canada({ express: [1, 2, 3], vendors: [1, 3, 4, 6, 8, 9, 11, 13, 14, 15] });
GPPS["tcfcav1: many"] = canada({
  express: PURPOSES, implied: [2, 7], vendors: upTo(900), vendorsImplied: EVERY, disclosed: EVERY,
});

const made = {
  tcf: Object.entries(TCF).map(([name, said]) => {
    const string = tcString(said);
    return { name, string, fields: read(string) };
  }),
  gpp: Object.entries(GPPS).map(([name, fill]) => ({ name, ...gpp(fill) })),
};
const lines = (cases) => cases.map((one) => "  " + JSON.stringify(one)).join(",\n");
process.stdout.write(`{\n "tcf": [\n${lines(made.tcf)}\n ],\n "gpp": [\n${lines(made.gpp)}\n ]\n}\n`);

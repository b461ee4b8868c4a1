/*
 * What jsforce is asked to do, one capability after the other.
 *
 * Reads its task as JSON from standard input and prints one line of JSON a capability: what it saw, or the error. It
 * judges nothing: tests/clients/jsforce_client.py holds what it saw against the org. Nothing of jsforce is changed.
 */
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

// The script lives in the checkout and the client in its own folder, where it was started.
const jsforce = require(path.join(process.cwd(), "node_modules", "jsforce"));

const task = JSON.parse(fs.readFileSync(0, "utf8"));
const oauth2 = { loginUrl: task.url, clientId: task.client_id, clientSecret: task.client_secret };
const known = `Company = '${task.company}'`;
const proxied = task.proxy ? { httpProxy: task.proxy } : {};
const bulkOptions = { pollInterval: 100, pollTimeout: 60000 };

async function see(capability, look) {
  let line;
  try {
    line = { capability, saw: await look() };
  } catch (error) {
    line = { capability, error: `${error.name || error.errorCode}: ${error.message}` };
  }
  await new Promise((written) => process.stdout.write(JSON.stringify(line) + "\n", written));
}

function assertion() {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const claims = {
    iss: task.client_id,
    sub: task.username,
    aud: "https://login.salesforce.com",
    exp: Math.floor(Date.now() / 1000) + 180,
  };
  const body = `${encode({ alg: "RS256" })}.${encode(claims)}`;
  const key = fs.readFileSync(task.private_key_file);
  return `${body}.${crypto.sign("RSA-SHA256", Buffer.from(body), key).toString("base64url")}`;
}

const connect = (options) => new jsforce.Connection({ loginUrl: task.url, version: "60.0", ...proxied, ...options });
const withOauth2 = () => connect({ oauth2: { ...oauth2, ...proxied } });

async function collect(stream) {
  return new Promise((resolve, reject) => {
    const records = [];
    stream.on("record", (record) => records.push(record));
    stream.on("end", () => resolve(records));
    stream.on("error", reject);
  });
}

const names = (records) => records.map((record) => record.LastName || record.Name);
const rejection = async (promise) =>
  promise.then(
    () => ({ refused: false }),
    (error) => ({ refused: true, code: error.errorCode || error.name, words: error.message }),
  );

async function logins() {
  await see("login: SOAP", async () => {
    const conn = connect({});
    const user = await conn.login(task.username, task.password);
    return { user: user.id, organization: user.organizationId, total: (await conn.query(`SELECT count() FROM Lead WHERE ${known}`)).totalSize };
  });
  await see("login: SOAP, wrong password", async () => rejection(connect({}).login("stranger@practice.test", "no")));
  await see("login: username and password, OAuth 2", async () => {
    const conn = withOauth2();
    const user = await conn.login(task.username, task.password);
    return { user: user.id, organization: user.organizationId, total: (await conn.query(`SELECT count() FROM Lead WHERE ${known}`)).totalSize };
  });
  await see("login: JWT bearer", async () => {
    const conn = withOauth2();
    const grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    const user = await conn.authorize({ grant_type: grant, assertion: assertion() });
    return { user: user.id, organization: user.organizationId, total: (await conn.query(`SELECT count() FROM Lead WHERE ${known}`)).totalSize };
  });
  await see("login: client credentials", async () => {
    // The shared login hosts refuse these: only an org's own host takes them.
    const conn = connect({ oauth2: { ...oauth2, ...proxied, loginUrl: task.own_url } });
    const user = await conn.authorize({ grant_type: "client_credentials" });
    return { user: user.id, organization: user.organizationId, total: (await conn.query(`SELECT count() FROM Lead WHERE ${known}`)).totalSize };
  });
  await see("login: wrong secret", async () => {
    const conn = connect({ oauth2: { ...oauth2, ...proxied, clientSecret: "no" } });
    return rejection(conn.authorize({ grant_type: "client_credentials" }));
  });
  await see("login: refresh token after a dead session", async () => {
    const token = await withOauth2().oauth2.authenticate(task.username, task.password);
    let refreshes = 0;
    const conn = connect({
      oauth2: { ...oauth2, ...proxied },
      instanceUrl: token.instance_url,
      accessToken: "00D000000000000!dead",
      refreshToken: token.refresh_token,
    });
    conn.on("refresh", () => (refreshes += 1));
    const { totalSize } = await conn.query(`SELECT count() FROM Lead WHERE ${known}`);
    return { total: totalSize, refreshes };
  });
  await see("logout: OAuth 2", async () => {
    const conn = withOauth2();
    await conn.login(task.username, task.password);
    const { accessToken, instanceUrl } = conn;
    await conn.logout();
    return rejection(connect({ accessToken, instanceUrl }).query("SELECT Id FROM Lead LIMIT 1"));
  });
  await see("logout: SOAP", async () => {
    const conn = connect({});
    await conn.login(task.username, task.password);
    const { accessToken, instanceUrl } = conn;
    await conn.logout();
    return rejection(connect({ accessToken, instanceUrl }).query("SELECT Id FROM Lead LIMIT 1"));
  });
}

async function reads(conn) {
  await see("identity", async () => {
    const identity = await conn.identity();
    return { user: identity.user_id, organization: identity.organization_id, username: identity.username };
  });
  await see("query, queryMore", async () => {
    let page = await conn.query(`SELECT Id, LastName FROM Lead WHERE ${known} ORDER BY LastName`, { autoFetch: false });
    const sizes = [];
    const found = [];
    for (;;) {
      sizes.push(page.records.length);
      found.push(...names(page.records));
      if (page.done) break;
      page = await conn.queryMore(page.nextRecordsUrl);
    }
    return { total: page.totalSize, sizes, found };
  });
  await see("query, autoFetch", async () => {
    const records = await conn
      .query(`SELECT Id, LastName FROM Lead WHERE ${known} ORDER BY LastName`)
      .run({ autoFetch: true, maxFetch: 100000 });
    return { found: names(records.records || records) };
  });
  await see("query, as a stream of records", async () => {
    const query = conn.query(`SELECT Id, LastName FROM Lead WHERE ${known} ORDER BY LastName`);
    const found = [];
    await new Promise((resolve, reject) => {
      query.on("record", (record) => found.push(record.LastName));
      query.on("end", resolve);
      query.on("error", reject);
      query.run({ autoFetch: true, maxFetch: 100000 });
    });
    return { found };
  });
  await see("queryAll with deleted rows", async () => {
    const query = conn.query(`SELECT Id, LastName, IsDeleted FROM Lead WHERE IsDeleted = true AND ${known}`, { scanAll: true });
    return { found: names((await query).records) };
  });
  await see("query: parents and children", async () => {
    const soql = "SELECT Name, Owner.Name, (SELECT LastName FROM Contacts ORDER BY LastName) FROM Account WHERE Name LIKE 'Account %' ORDER BY Name";
    const { records } = await conn.query(soql);
    return records.map((each) => [each.Name, each.Owner.Name, each.Contacts ? names(each.Contacts.records) : []]);
  });
  await see("query: troublesome text", async () => {
    const { records } = await conn.query("SELECT Description FROM Lead WHERE LastName = 'Lead 0000'");
    return { text: records[0].Description };
  });
  await see("sobject.find with conditions", async () => {
    const found = await conn
      .sobject("Contact")
      .find({ LastName: { $like: "Contact 0%" }, "Account.Name": { $ne: null } }, ["Id", "LastName", "Account.Name"])
      .sort({ LastName: 1 })
      .limit(5)
      .execute();
    return found.map((each) => [each.LastName, each.Account.Name]);
  });
  await see("sobject.count", async () => ({ total: await conn.sobject("Lead").count({ Company: task.company }) }));
  await see("query: unknown field", async () => rejection(conn.query("SELECT Nonsense__c FROM Lead")));
  await see("search (SOSL)", async () => {
    const answer = await conn.search("FIND {Contact} IN NAME FIELDS RETURNING Contact(Id, LastName)");
    return { found: names(answer.searchRecords).sort() };
  });
  await see("describe", async () => {
    const lead = await conn.sobject("Lead").describe();
    return { name: lead.name, prefix: lead.keyPrefix, fields: lead.fields.map((field) => field.name).sort() };
  });
  await see("describeGlobal", async () => {
    const everything = await conn.describeGlobal();
    return { objects: everything.sobjects.map((each) => each.name).sort() };
  });
  await see("limits and limitInfo", async () => {
    const limits = await conn.limits();
    return { most: limits.DailyApiRequests.Max, info: conn.limitInfo.apiUsage.limit };
  });
  await see("updated and deleted", async () => {
    const [start, end] = task.window;
    const updated = await conn.sobject("Account").updated(start, end);
    const deleted = await conn.sobject("Lead").deleted(start, end);
    return { updated: updated.ids.sort(), deleted: deleted.deletedRecords.map((each) => each.id).sort() };
  });
  await see("versions and resources", async () => {
    const versions = await conn.request("/services/data");
    const resources = await conn.request("/");
    return { newest: versions.at(-1).version, query: resources.query };
  });
}

async function writes(conn, mark) {
  await see("create, retrieve, update, destroy one row", async () => {
    const made = await conn.sobject("Account").create({ Name: `${mark} one` });
    const changed = await conn.sobject("Account").update({ Id: made.id, Rating: "Hot", Name: `${mark} einß` });
    const read = await conn.sobject("Account").retrieve(made.id);
    const gone = await conn.sobject("Account").create({ Name: `${mark} gone` });
    const destroyed = await conn.sobject("Account").destroy(gone.id);
    const after = await rejection(conn.sobject("Account").retrieve(gone.id));
    return { id: made.id, changed: changed.success, name: read.Name, rating: read.Rating, gone: gone.id, destroyed: destroyed.success, after };
  });
  await see("create, update, destroy many rows (collections)", async () => {
    const rows = Array.from({ length: 250 }, (_, n) => ({ LastName: `${mark} m${String(n).padStart(3, "0")}` }));
    const made = await conn.sobject("Contact").create(rows, { allowRecursive: true });
    const changed = await conn
      .sobject("Contact")
      .update(made.slice(0, 10).map((each) => ({ Id: each.id, Title: "CFO" })));
    const destroyed = await conn.sobject("Contact").destroy(made.slice(240).map((each) => each.id));
    return {
      made: made.filter((each) => each.success).length,
      changed: changed.filter((each) => each.success).length,
      destroyed: destroyed.filter((each) => each.success).length,
    };
  });
  await see("collections: one bad row among good ones", async () => {
    const rows = [{ LastName: `${mark} good` }, { LastName: "x".repeat(81) }];
    const made = await conn.sobject("Contact").create(rows);
    return made.map((each) => [each.success, each.errors.map((error) => error.statusCode || error.errorCode)]);
  });
  await see("collections: all or none", async () => {
    const rows = [{ LastName: `${mark} none` }, { LastName: "x".repeat(81) }];
    const made = await conn.sobject("Contact").create(rows, { allOrNone: true });
    return made.map((each) => [each.success, each.errors.map((error) => error.statusCode || error.errorCode)]);
  });
  await see("retrieve many rows", async () => {
    const found = await conn.sobject("Account").retrieve(task.accounts);
    return names(found).sort();
  });
  await see("upsert by external id, one and many", async () => {
    const one = await conn.sobject("Contact").upsert({ Email: `${mark}@one.example`, LastName: "First" }, "Email");
    const again = await conn.sobject("Contact").upsert({ Email: `${mark}@one.example`, LastName: `${mark} upsert` }, "Email");
    const many = await conn.sobject("Contact").upsert(
      [
        { Email: `${mark}@one.example`, Title: "CEO" },
        { Email: `${mark}@two.example`, LastName: `${mark} two` },
      ],
      "Email",
    );
    return { created: one.created, again: again.created, many: many.map((each) => [each.success, each.created]) };
  });
  await see("composite request with a reference", async () => {
    const root = "/services/data/v60.0/sobjects";
    const answer = await conn.requestPost("/composite", {
      allOrNone: true,
      compositeRequest: [
        { method: "POST", url: `${root}/Account`, referenceId: "firm", body: { Name: `${mark} composite` } },
        { method: "POST", url: `${root}/Contact`, referenceId: "person", body: { LastName: `${mark} composite`, AccountId: "@{firm.id}" } },
      ],
    });
    return answer.compositeResponse.map((each) => each.httpStatusCode);
  });
}

async function bulk(conn, mark) {
  conn.bulk.pollInterval = 100;
  conn.bulk.pollTimeout = 60000;
  await see("bulk 1.0: query", async () => {
    const records = await collect(await conn.bulk.query(`SELECT Id, LastName, Company FROM Lead WHERE ${known}`));
    return { found: names(records).sort() };
  });
  await see("bulk 1.0: insert, update, upsert, delete", async () => {
    const rows = Array.from({ length: 120 }, (_, n) => ({ LastName: `${mark} b1 ${String(n).padStart(3, "0")}`, Company: "Bulk, \"one\"" }));
    const made = await conn.bulk.load("Lead", "insert", rows);
    const changed = await conn.bulk.load("Lead", "update", made.slice(0, 20).map((each) => ({ Id: each.id, Title: "CFO" })));
    const upserted = await conn.bulk.load("Contact", "upsert", { extIdField: "Email" }, [
      { Email: `${mark}@bulk.example`, LastName: `${mark} b1 upsert` },
    ]);
    const gone = await conn.bulk.load("Lead", "delete", made.slice(100).map((each) => ({ Id: each.id })));
    const good = (results) => results.filter((each) => each.success).length;
    return { made: good(made), changed: good(changed), upserted: good(upserted), gone: good(gone) };
  });
  await see("bulk 1.0: a bad row", async () => {
    const made = await conn.bulk.load("Lead", "insert", [{ LastName: `${mark} b1 fine`, Company: "C" }, { LastName: "x" }]);
    return made.map((each) => [each.success, each.errors.map((words) => String(words).split(":")[0])]);
  });
  await see("bulk 2.0: query", async () => {
    const records = await collect(await conn.bulk2.query(`SELECT Id, LastName FROM Lead WHERE ${known}`, bulkOptions));
    return { found: names(records).sort() };
  });
  await see("bulk 2.0: queryAll", async () => {
    const soql = `SELECT Id, LastName FROM Lead WHERE IsDeleted = true AND ${known}`;
    const records = await collect(await conn.bulk2.query(soql, { ...bulkOptions, scanAll: true }));
    return { found: names(records).sort() };
  });
  await see("bulk 2.0: insert, update, upsert, delete", async () => {
    const rows = Array.from({ length: 300 }, (_, n) => ({ LastName: `${mark} b2 ${String(n).padStart(3, "0")}`, Company: "Bulk, \"two\"\nlines" }));
    const load = (object, operation, input, more = {}) =>
      conn.bulk2.loadAndWaitForResults({ object, operation, input, ...bulkOptions, ...more });
    const made = await load("Lead", "insert", rows);
    const ids = made.successfulResults.map((each) => each.sf__Id).sort();
    const changed = await load("Lead", "update", ids.slice(0, 30).map((Id) => ({ Id, Title: "CFO" })));
    const upsert = [{ Email: `${mark}@bulk2.example`, LastName: `${mark} b2 upsert` }];
    const first = await load("Contact", "upsert", upsert, { externalIdFieldName: "Email" });
    const second = await load("Contact", "upsert", upsert, { externalIdFieldName: "Email" });
    const gone = await load("Lead", "delete", ids.slice(250).map((Id) => ({ Id })));
    return {
      made: made.successfulResults.length,
      changed: changed.successfulResults.length,
      created: [first, second].map((each) => each.successfulResults[0].sf__Created),
      gone: gone.successfulResults.length,
    };
  });
  await see("bulk 2.0: bad rows and an aborted job", async () => {
    const made = await conn.bulk2.loadAndWaitForResults({
      object: "Lead",
      operation: "insert",
      input: [{ LastName: `${mark} b2 fine`, Company: "C" }, { LastName: `${mark} b2 bad`, Company: "" }],
      ...bulkOptions,
    });
    const job = conn.bulk2.createJob({ object: "Lead", operation: "insert" });
    await job.open();
    await job.uploadData([{ LastName: `${mark} never`, Company: "C" }]);
    await job.abort();
    const state = (await job.check()).state;
    await job.delete();
    return { good: made.successfulResults.length, bad: made.failedResults.map((each) => each.sf__Error.split(":")[0]), state };
  });
}

async function administration(conn, mark) {
  await see("tooling: query", async () => {
    const answer = await conn.tooling.query("SELECT Id, DeveloperName FROM CustomField LIMIT 5");
    return { total: answer.totalSize };
  });
  await see("metadata: create, read and delete a custom field", async () => {
    const fullName = `Lead.${mark}_Score__c`;
    const made = await conn.metadata.create("CustomField", { fullName, label: `${mark} Score`, type: "Number", precision: 5, scale: 2 });
    const read = await conn.metadata.read("CustomField", fullName);
    const gone = await conn.metadata.delete("CustomField", fullName);
    return { made: made.success, type: read.type, precision: String(read.precision), gone: gone.success };
  });
  await see("metadata: describe", async () => {
    const answer = await conn.metadata.describe("60.0");
    return { names: answer.metadataObjects.map((each) => each.xmlName) };
  });
}

async function main() {
  await logins();
  const conn = withOauth2();
  await conn.login(task.username, task.password);
  await reads(conn);
  if (task.only_reads) return;
  await writes(conn, task.mark);
  await bulk(conn, task.mark);
  await administration(conn, task.mark);
}

main().then(
  // Timers of jobs that were given up would keep the program alive.
  () => process.exit(0),
  (error) => {
    console.error(error.stack);
    process.exit(1);
  },
);

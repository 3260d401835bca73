// What the table of routes does not know of a request and its answer: names, parameters, bodies, answers. scripts/manual puts it beside what the program
// prints, and fails when a route is missing here, or one here is no route. A test (tests/sdk/rest_shapes.test.mjs) holds real answers against it.
'use strict';

// ---- words for schemas ----

const s = { type: 'string' }, i = { type: 'integer' }, n = { type: 'number' }, b = { type: 'boolean' }, any = {};
const time = { type: 'string', format: 'date-time' };
const maybe = (of) => ({ ...of, nullable: true });
const one = (...values) => ({ type: 'string', enum: values });
const list = (items) => ({ type: 'array', items });
const map = (of) => ({ type: 'object', additionalProperties: of });
const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
// Members; of a name with ? behind it there may be none. What it answers with has these members and no others; what it takes may have more.
function obj(members, open = false) {
	const required = Object.keys(members).filter((name) => !name.endsWith('?'));
	return { type: 'object', ...(required.length ? { required } : {}), properties: Object.fromEntries(Object.entries(members).map(([name, of]) => [name.replace(/\?$/, ''), of])),
		...(open ? {} : { additionalProperties: false }) };
}
const takes = (members) => obj(members, true);
const free = { type: 'object' };

// ---- schemas ----

const authentication = obj({ symmetricKey: obj({ primaryKey: maybe(s), secondaryKey: maybe(s) }), x509Thumbprint: obj({ primaryThumbprint: maybe(s), secondaryThumbprint: maybe(s) }), type: one('sas', 'selfSigned', 'certificateAuthority', 'none') });
const status = one('enabled', 'disabled'), connection = one('Connected', 'Disconnected');
const identity = { generationId: s, etag: s, connectionState: connection, connectionStateUpdatedTime: time, lastActivityTime: time, cloudToDeviceMessageCount: i, authentication };
const item = { 'deviceId?': s, 'moduleId?': s, errorCode: i, errorStatus: s };
const metrics = obj({ results: map(i), queries: map(s) });
const bytes = { messages: i, bytes: i };
const end = obj({ time, reason: s, by: s, 'why?': s, 'address?': s, 'count?': i });
const linked = { 'connectedSince?': time, 'lastConnectedTime?': time, 'address?': s, 'protocol?': s, 'tls?': s, 'client?': s, 'received?': obj(bytes), 'sent?': obj(bytes), 'inFlight?': i };
const backup = { made: time, files: i, bytes: i, identities: i };
const measured = { ...backup, 'copiedBytes?': i, 'seconds?': n };
const column = { path: maybe(s), form: s, shards: i, held: i, rows: i, values: i, bytes: i };
const patchOrTwin = { deviceId: s, 'moduleId?': s, 'patch?': free, 'changed?': b, 'twin?': ref('Twin'), 'error?': free, 'withheld?': b };
const method = { methodName: s, 'payload?': any, 'responseTimeoutInSeconds?': { ...i, minimum: 5, maximum: 300, default: 30 }, 'connectTimeoutInSeconds?': { ...i, minimum: 0, maximum: 300, default: 0 } };
const partition = obj({ partition: i, beginSequence: i, lastSequence: i, 'lastOffset?': s, 'lastEnqueuedTime?': time, isEmpty: b });

const schemas = {
	Error: { ...obj({ Message: s, ExceptionMessage: s }), description: 'Message is "ErrorCode:NAME;text", or JSON with errorCode, trackingId, message and timestampUtc; the name is in the header iothub-errorcode, too' },
	BulkError: obj({ ...item, 'operation?': s, 'id?': s, 'line?': i }),
	Authentication: authentication,
	Device: obj({ deviceId: s, status, statusReason: maybe(s), statusUpdatedTime: time, ...identity, capabilities: obj({ iotEdge: b }), 'deviceScope?': s, 'parentScopes?': list(s) }),
	DeviceToWrite: takes({ deviceId: s, 'etag?': maybe(s), 'status?': status, 'statusReason?': maybe(s), 'authentication?': free, 'capabilities?': takes({ 'iotEdge?': b }), 'deviceScope?': maybe(s), 'parentScopes?': list(s) }),
	Module: obj({ deviceId: s, moduleId: s, managedBy: maybe(s), ...identity }),
	ModuleToWrite: takes({ deviceId: s, moduleId: s, 'etag?': maybe(s), 'managedBy?': maybe(s), 'authentication?': free }),
	Section: { ...free, description: 'properties as they are, with $version and $metadata' },
	Twin: obj({ deviceId: s, 'moduleId?': s, etag: s, deviceEtag: s, status, 'statusReason?': maybe(s), statusUpdateTime: time, 'connectionState?': connection, 'lastActivityTime?': time, 'cloudToDeviceMessageCount?': i,
		authenticationType: s, x509Thumbprint: free, modelId: s, version: i, 'tags?': free, properties: obj({ desired: ref('Section'), reported: ref('Section') }), 'configurations?': map(free),
		'capabilities?': obj({ iotEdge: b }), 'deviceScope?': s, 'parentScopes?': list(s) }),
	TwinToWrite: takes({ 'tags?': maybe(free), 'properties?': takes({ 'desired?': maybe(free) }) }),
	BulkItem: takes({ id: s, 'moduleId?': s, 'importMode?': s, 'eTag?': s, 'status?': status, 'authentication?': free, 'tags?': free, 'properties?': free }),
	BulkResult: obj({ isSuccessful: b, errors: list(ref('BulkError')), warnings: list(free) }),
	RotatedKeys: obj({ policyKey: s, rotatedKeys: list(obj({ id: s, 'moduleId?': maybe(s), primaryKey: maybe(s), secondaryKey: maybe(s) })), errors: list(ref('BulkError')) }),
	Query: takes({ query: s }),
	Explained: obj({ engineMs: n, workers: i, rowsReturned: i, more: b, rowsJudged: i, rowsAsked: i, rowsShown: i, steps: list(obj({ step: s, ms: n })), columns: list(obj({ ...column, from: s, made: i })), 'warning?': s }),
	Change: obj({ id: s, time, version: i, change: s, actor: s, 'patch?': free, 'before?': free, 'configuration?': s, 'job?': s, 'generationId?': s }, true),
	Convergence: obj({ deviceId: s, 'moduleId?': s, converged: b, desiredVersion: i, reportedVersion: i, pendingCount: i, truncated: b, pending: list(obj({ path: s, desired: any, 'reported?': any })), 'since?': time }, true),
	WhyConfiguration: obj({ deviceId: s, 'moduleId?': s, configurationId: s, priority: i, targeted: b, reached: b, applied: b, reasons: list(any), 'wave?': i }, true),
	MethodCall: takes(method),
	MethodResult: obj({ status: i, payload: any }),
	Purged: obj({ deviceId: s, moduleId: maybe(s), totalMessagesPurged: i }),
	Feedback: list(obj({ originalMessageId: s, description: s, deviceGenerationId: s, deviceId: s, enqueuedTimeUtc: time, statusCode: s })),
	Connection: obj({ deviceId: s, 'moduleId?': s, status, connected: b, ...linked,
		'subscriptions?': list(obj({ to: s, qos: i })), 'lastActivityTime?': time, desiredVersion: i, 'desiredVersionDelivered?': i, pendingCount: i, queuedMessages: i, connectsLastHour: i, 'lastDisconnect?': end, 'lastRefusal?': end }),
	Story: obj({ deviceId: s, 'moduleId?': s, connected: b, ...linked, connectsLastHour: i, 'lastDisconnect?': end, 'lastRefusal?': end }),
	MessageStatistics: obj({ queued: i, feedback: i, deadLettered: map(i), feedbackDropped: i }),
	DeviceStatistics: obj({ totalDeviceCount: i, enabledDeviceCount: i, disabledDeviceCount: i }),
	ServiceStatistics: obj({ connectedDeviceCount: i }),
	ConfigurationStatistics: obj({ configurationLoopCount: i }),
	ColumnStatistics: obj({ bytes: i, limitBytes: i, columns: list(obj(column)) }),
	PathStatistics: obj({ twins: i, damagedTwins: i, morePaths: i, uncounted: i, paths: list(obj({ path: s, twins: i, modules: i, kinds: map(i), 'column?': free })) }),
	QueryStatistics: obj({ queries: list(obj({ slowestMs: n, runs: i, failures: i, totalMs: n, rowsJudged: i, rowsAsked: i, rowsReturned: i, query: s, queryCut: b, slowestTime: time, firstTime: time, lastTime: time, 'explain?': ref('Explained') })), 'lost?': i }, true),
	StoreStatistics: obj({ state: one('ready', 'full', 'failed', 'corrupt'), commits: i, commitBytes: i, commitFailures: i, writeAheadLogBytes: i, tableBytes: i, tableFiles: i, eventLogBytes: i, freeBytes: i, level0Files: i, stallMilliseconds: i,
		memtableBytes: i, cacheBytes: i, scrubbedBytes: i, scrubbedFiles: i, scrubPasses: i, damagedFiles: list(s), moreDamagedFiles: b }),
	Figures: obj({ step: i, units: map(s), now: map(any), times: list(time), figures: map(list(maybe(n))) }),
	EventStatistics: obj({ records: i, endPosition: s, telemetry: obj({ 'oldestTime?': time, oldestPosition: s, bytes: i, maxSize: i, maxAge: i }), changes: obj({ 'oldestTime?': time, oldestPosition: s, bytes: i, maxSize: i, maxAge: i }) }),
	LimitStatistics: obj({ throttle: maybe(free), rates: map(s), shares: map(any), counts: map(i), throttled: map(any), dailyMessages: obj({ used: i, max: i, 'block?': i, 'resetTime?': time }), buckets: i, bucketsLost: i }),
	SinkStatistics: obj({ id: s, kind: s, status: free }),
	Partition: partition,
	PartitionEvent: obj({ sequence: i, 'offset?': s, enqueuedTime: time, event: free }),
	Configuration: obj({ id: s, schemaVersion: s, labels: map(s), content: free, 'contentType?': s, targetCondition: s, createdTimeUtc: time, lastUpdatedTimeUtc: time, priority: i, systemMetrics: metrics, metrics, etag: s, 'rollout?': obj({ waves: list(free), state: free, 'onFailure?': s }) }),
	ConfigurationToWrite: takes({ id: s, 'priority?': { ...i, minimum: 0 }, 'targetCondition?': s, 'labels?': map(s), 'content?': free, 'metrics?': takes({ 'queries?': map(s) }), 'rollout?': free, 'etag?': s }),
	ConfigurationPreview: obj({ targetedCount: i, changedCount: i, changedTwinCount: i, changedDesiredCount: i, devices: list(obj({ deviceId: s, 'moduleId?': s, targeted: b }, true)), sample: list(obj(patchOrTwin, true)) }, true),
	ConditionTest: takes({ 'targetCondition?': s, 'customMetricQueries?': map(s) }),
	ConditionErrors: obj({ targetConditionError: maybe(s), customMetricQueryErrors: map(s) }),
	Policy: obj({ name: s, rights: list(one('RegistryRead', 'RegistryWrite', 'ServiceConnect', 'DeviceConnect')), primaryKey: s, secondaryKey: s }),
	BackupMade: obj({ backup: s, ...measured }),
	Backups: obj({ 'directory?': s, 'everySeconds?': i, 'keep?': i, running: b, 'runningSince?': time, successes: i, failures: i, 'lastSuccess?': obj({ path: s, scheduled: b, ...measured }), 'lastFailure?': obj({ path: s, time, why: s }),
		'failingSince?': time, 'next?': time, 'backups?': list(obj({ path: s, ...backup })) }),
	Fault: obj({ fault: s, 'count?': i, met: i, 'device?': s, 'status?': i, 'seconds?': n }),
	Clock: obj({ now: time, aheadSeconds: i }),
	Job: obj({ jobId: s, 'queryCondition?': s, 'createdTime?': time, 'startTime?': time, 'endTime?': time, 'maxExecutionTimeInSeconds?': i, 'maxUpdatesPerSecond?': i, type: s, 'updateTwin?': free, 'cloudToDeviceMethod?': free,
		'cloudToDeviceMessage?': free, 'restoreTwin?': free, status: one('unknown', 'enqueued', 'queued', 'scheduled', 'running', 'completed', 'failed', 'cancelled'), 'failureReason?': s, 'statusMessage?': s,
		'deviceJobStatistics?': obj({ deviceCount: i, failedCount: i, succeededCount: i, runningCount: i, pendingCount: i }) }),
	JobToRun: takes({ 'jobId?': any, type: one('scheduleUpdateTwin', 'scheduleDeviceMethod', 'scheduleDeviceMessage', 'scheduleRestoreTwin'), queryCondition: s, 'startTime?': maybe(s), 'maxExecutionTimeInSeconds?': i, 'maxUpdatesPerSecond?': i,
		'updateTwin?': free, 'cloudToDeviceMethod?': takes(method), 'cloudToDeviceMessage?': free, 'restoreTwin?': free }),
	JobPreview: obj({ targetedCount: i, devices: list(obj({ deviceId: s, 'moduleId?': s }, true)), sample: list(obj(patchOrTwin, true)) }, true),
	Imported: obj({ lines: i, done: i, there: i, failed: i, errors: list(ref('BulkError')) }, true),
	FileJob: obj({ jobId: s, type: one('import', 'export', 'unknown'), status: s, 'progress?': i, 'startTimeUtc?': time, 'endTimeUtc?': time, 'failureReason?': s, 'inputBlobContainerUri?': s, 'inputBlobName?': s, 'outputBlobContainerUri?': s, 'outputBlobName?': s, 'excludeKeysInExport?': b, 'includeConfigurations?': b,
		'storageAuthenticationType?': s }, true),
	FileJobToRun: takes({ type: one('import', 'export'), 'inputBlobContainerUri?': s, 'inputBlobName?': s, 'outputBlobContainerUri?': s, 'outputBlobName?': s, 'excludeKeysInExport?': b, 'includeConfigurations?': b }),
	DigitalTwin: obj({ $dtId: s, $metadata: free }, true),
	JsonPatch: list(takes({ op: s, path: s, 'value?': any })),
	Sink: obj({ id: s, kind: one('builtin', 'webhook', 'file', 'kafka'), enabled: b, 'etag?': s, 'createdTime?': time, 'lastUpdatedTime?': time, 'from?': s, 'batchEvents?': i, 'status?': free }, true),
	SinkToWrite: takes({ kind: one('webhook', 'file', 'kafka'), 'enabled?': b, 'from?': s, 'batchEvents?': i }),
	Route: obj({ id: s, source: s, condition: s, endpointNames: list(s), isEnabled: b, 'etag?': s, 'createdTime?': time, 'lastUpdatedTime?': time }),
	RouteToWrite: takes({ source: s, 'condition?': s, endpointNames: list(s), 'isEnabled?': b }),
	RouteTest: takes({ 'message?': takes({ 'body?': any, 'appProperties?': map(s), 'systemProperties?': map(s) }), 'twin?': free, 'route?': ref('RouteToWrite') }),
	RouteTested: obj({ result: one('true', 'false', 'undefined'), 'details?': free }),
	Settings: obj({ log: map(b), retention: map(i), events: map(i), cloudToDevice: free, limits: free }),
	SettingsPatch: { ...free, description: 'a merge patch of the settings' },
	Alive: obj({ status: one('alive') }),
	Ready: obj({ status: one('ready'), 'damagedFiles?': list(s), 'moreDamagedFiles?': b, 'backupsFailingSince?': time }, true),
};

// ---- parameters ----

const query = {
	'api-version': [s, 'any date', true], top: [i, 'at most so many'], dryRun: [b, 'tell what it would do, and do nothing'], explain: [b, 'tell what it costs instead of what it finds'], at: [s, 'a time: as it was then'], atVersion: [i, 'a version: as it was then'],
	order: [one('id', 'connects')], state: [s], reason: [s, 'of reasons.md'], address: [s], prefix: [s, 'paths below it'], from: [s], step: [i, 'seconds'], sequence: [i, 'the first'], source: [s], device: [s], module: [s], path: [s], where: [s, 'a routing condition'],
	follow: [b], rights: [s, 'names, with commas between', true], key: [one('primary', 'secondary'), '', true], to: [s, 'an absolute path on the hub\'s machine', true], keys: [one('yes', 'no'), 'no: without keys'], importMode: [s], firstLine: [i], again: [one('yes', 'no')], strict: [one('yes', 'no')],
	jobType: [s], jobStatus: [s], pageSize: [i], continuationToken: [s], targetDeviceId: [s, '', true], targetModuleId: [s], reject: [s, 'there: rejected, else completed'],
};
const headers = {
	'If-Match': [s, 'an etag, or *'], 'x-ms-max-item-count': [i, 'at most so many'], 'x-ms-continuation': [s, 'the page behind the one that had this header'], 'Last-Event-ID': [s, 'the position behind which it goes on'],
	'iothub-ack': [one('none', 'positive', 'negative', 'full')], 'iothub-messageid': [s], 'iothub-expiry': [s], 'iothub-contentencoding': [s], 'Content-Encoding': [s], 'IotHub-MessageLockTimeout': [i, 'seconds'],
};
// Paths' own values, where not every name is one.
const pathValues = { action: one('resume', 'promote', 'halt', 'rollback'), partition: { ...i, minimum: 0 } };

// ---- routes: [name, what it does, what else is known] ----
// q, h: parameters and headers; b: the body; a: the answer at 200, or by status; e: errors besides those that any request may meet; oh: headers of the answer.

const page = 'x-ms-max-item-count,x-ms-continuation', lines = { 'application/x-ndjson': s }, stream = { 'text/event-stream': s, 'application/x-ndjson': s }, bytesOf = { 'application/octet-stream': { type: 'string', format: 'binary' } };
const etag = 'If-Match', none = { 204: null };
const twin = (what) => ({
	[`GET /twins/${what}`]: ['get', 'a twin', { a: ref('Twin'), e: [404], oh: 'ETag', q: 'at,atVersion' }],
	[`PATCH /twins/${what}`]: ['update', 'merge tags and desired properties into a twin', { h: etag, b: ref('TwinToWrite'), a: ref('Twin'), e: [403, 404, 412], oh: 'ETag' }],
	[`PUT /twins/${what}`]: ['replace', 'replace tags and desired properties of a twin', { h: etag, b: ref('TwinToWrite'), a: ref('Twin'), e: [403, 404, 412], oh: 'ETag' }],
	[`GET /twins/${what}/watch`]: ['watch', 'follow a twin', { a: stream, e: [404] }],
	[`GET /twins/${what}/history`]: ['history', 'changes of a twin, newest first', { h: page, a: list(ref('Change')), oh: 'x-ms-continuation' }],
	[`GET /twins/${what}/convergence`]: ['convergence', 'what of the desired properties is not reported', { a: ref('Convergence'), e: [404] }],
	[`GET /twins/${what}/configurations`]: ['configurations', 'what each configuration does to a twin, and why not', { h: page, q: 'state', a: list(ref('WhyConfiguration')), e: [404], oh: 'x-ms-continuation' }],
	[`POST /twins/${what}/methods`]: ['call', 'call a direct method', { b: ref('MethodCall'), a: ref('MethodResult'), e: [404, 502, 504] }],
});
const connectionOf = (what) => ({
	[`GET /devices/${what}/connection`]: ['connection', 'the connection there is, or was last', { a: ref('Connection'), e: [404] }],
	[`DELETE /devices/${what}/connection`]: ['disconnect', 'end its connection', { a: none, e: [404] }],
	[`POST /devices/${what}/messages/events`]: ['send', 'telemetry of a device', { b: bytesOf, a: none, e: [403, 404] }],
});
const nested = (name) => ({ [`POST /devices/{device}/modules/{module}/${name}`]: [name, 'edge devices below edge devices: not served', { b: free, a: {}, e: [501] }] });
const named = (entries, of) => Object.fromEntries(Object.entries(entries).map(([route, [name, ...rest]]) => [route, [name + of, ...rest]]));

const routes = {
	'GET /devices': ['listDevices', 'the first devices', { q: 'top', a: list(ref('Device')) }],
	'POST /devices': ['bulk', 'create, update and delete up to 100 identities', { b: list(ref('BulkItem')), a: { 200: ref('BulkResult'), 400: { oneOf: [ref('BulkResult'), ref('Error')] } }, e: [403] }],
	'POST /devices/keys/regenerate': ['regenerateKeys', 'new keys of up to 100 identities', { b: takes({ policyKey: one('primaryKey', 'secondaryKey', 'both'), devices: list(takes({ id: s, 'moduleId?': s })) }), a: { 200: ref('RotatedKeys'), 207: ref('RotatedKeys'), 400: { oneOf: [ref('RotatedKeys'), ref('Error')] } } }],
	'POST /devices/query': ['query', 'a page of a query', { q: 'explain,at', h: page, b: ref('Query'), a: { oneOf: [list(any), ref('Explained')] }, oh: 'x-ms-continuation,x-ms-item-type,x-twinhub-reflects,x-twinhub-warning' }],
	'POST /devices/query/watch': ['watchQuery', 'follow a query', { b: ref('Query'), a: stream }],
	'GET /devices/{device}': ['getDevice', 'a device', { a: ref('Device'), e: [404], oh: 'ETag' }],
	'PUT /devices/{device}': ['putDevice', 'create a device or, with If-Match, replace it', { h: etag, b: ref('DeviceToWrite'), a: ref('Device'), e: [403, 404, 409, 412], oh: 'ETag' }],
	'DELETE /devices/{device}': ['deleteDevice', 'delete a device, its modules and twin', { h: etag, a: none, e: [404, 412] }],
	'GET /devices/{device}/modules': ['listModules', 'modules of a device', { a: list(ref('Module')), e: [404] }],
	'GET /devices/{device}/modules/{module}': ['getModule', 'a module', { a: ref('Module'), e: [404], oh: 'ETag' }],
	'PUT /devices/{device}/modules/{module}': ['putModule', 'create a module or, with If-Match, replace it', { h: etag, b: ref('ModuleToWrite'), a: ref('Module'), e: [403, 404, 409, 412], oh: 'ETag' }],
	'DELETE /devices/{device}/modules/{module}': ['deleteModule', 'delete a module and its twin', { h: etag, a: none, e: [404, 412] }],
	...named(twin('{device}'), 'Twin'),
	...named(twin('{device}/modules/{module}'), 'ModuleTwin'),
	...named(connectionOf('{device}'), 'Device'),
	...named(connectionOf('{device}/modules/{module}'), 'Module'),
	'DELETE /devices/{device}/commands': ['purgeMessages', 'drop messages that wait for a device', { a: ref('Purged'), e: [404] }],
	'POST /devices/{device}/messages/deviceBound': ['sendMessage', 'a message to a device', { h: 'iothub-ack,iothub-messageid,iothub-expiry,iothub-contentencoding,Content-Encoding', b: bytesOf, a: none, e: [403, 404] }],
	'GET /messages/serviceBound/feedback': ['receiveFeedback', 'feedback on messages to devices, locked for a while', { h: 'IotHub-MessageLockTimeout', a: { 200: ref('Feedback'), 204: null }, oh: 'ETag' }],
	'DELETE /messages/serviceBound/feedback/{lock}': ['completeFeedback', 'feedback has been read', { a: none, e: [412] }],
	'POST /messages/serviceBound/feedback/{lock}/abandon': ['abandonFeedback', 'feedback may come again', { a: none, e: [412] }],
	'GET /connections': ['listConnections', 'connections, also former ones', { q: 'order,state,reason,address,top', h: 'x-ms-continuation', a: list(ref('Story')), oh: 'x-ms-continuation' }],
	'GET /statistics/messages': ['messageStatistics', 'messages to devices', { a: ref('MessageStatistics') }],
	'GET /statistics/devices': ['deviceStatistics', 'how many devices', { a: ref('DeviceStatistics') }],
	'GET /statistics/service': ['serviceStatistics', 'how many are connected', { a: ref('ServiceStatistics') }],
	'GET /statistics/configurations': ['configurationStatistics', 'configurations that go in circles', { a: ref('ConfigurationStatistics') }],
	'GET /statistics/columns': ['columnStatistics', 'columns of queries, in memory', { a: ref('ColumnStatistics') }],
	'GET /statistics/paths': ['pathStatistics', 'which paths twins have', { q: 'prefix,top', a: ref('PathStatistics') }],
	'GET /statistics/queries': ['queryStatistics', 'the slowest queries of the last hour', { a: ref('QueryStatistics') }],
	'GET /statistics/store': ['storeStatistics', 'the store', { a: ref('StoreStatistics') }],
	'GET /statistics/metrics': ['figures', 'figures of the last day', { q: 'from,step', a: ref('Figures') }],
	'GET /statistics/events': ['eventStatistics', 'the event log', { a: ref('EventStatistics') }],
	'GET /statistics/limits': ['limitStatistics', 'rates and quotas', { a: ref('LimitStatistics') }],
	'GET /statistics/sinks': ['sinkStatistics', 'how deliveries go', { a: list(ref('SinkStatistics')) }],
	'GET /events/partitions': ['listPartitions', 'partitions of events', { a: list(ref('Partition')) }],
	'GET /events/partitions/{partition}': ['readPartition', 'events of a partition', { q: 'sequence', a: list(ref('PartitionEvent')), e: [404] }],
	'GET /events': ['readEvents', 'the event log, as a stream', { q: 'source,device,module,path,from,follow,where', h: 'Last-Event-ID', a: stream, e: [410] }],
	'GET /configurations': ['listConfigurations', 'the first configurations', { q: 'top', a: list(ref('Configuration')) }],
	'POST /configurations/testQueries': ['testQueries', 'are a target condition and metrics well-formed?', { b: ref('ConditionTest'), a: ref('ConditionErrors') }],
	'GET /configurations/{configuration}': ['getConfiguration', 'a configuration', { a: ref('Configuration'), e: [404], oh: 'ETag' }],
	'GET /configurations/{configuration}/devices': ['configurationDevices', 'what a configuration does to each twin, and why not', { q: 'state', h: page, a: list(ref('WhyConfiguration')), e: [404], oh: 'x-ms-continuation' }],
	'PUT /configurations/{configuration}': ['putConfiguration', 'create a configuration or, with If-Match, change it', { q: 'dryRun', h: etag, b: ref('ConfigurationToWrite'), a: { oneOf: [ref('Configuration'), ref('ConfigurationPreview')] }, e: [403, 404, 409, 412], oh: 'ETag' }],
	'POST /configurations/{configuration}': ['tryConfiguration', 'what a configuration would do (dryRun=true)', { q: 'dryRun', h: page, b: ref('ConfigurationToWrite'), a: ref('ConfigurationPreview'), oh: 'x-ms-continuation' }],
	'DELETE /configurations/{configuration}': ['deleteConfiguration', 'delete a configuration', { h: etag, a: none, e: [404, 412] }],
	'POST /configurations/{configuration}/rollout/{action}': ['rollout', 'act on a rollout', { h: etag, a: ref('Configuration'), e: [404, 405, 412], oh: 'ETag' }],
	'POST /devices/{device}/applyConfigurationContent': ['applyContent', 'apply content to an edge device', { b: takes({ 'modulesContent?': free, 'content?': free }), a: none, e: [404] }],
	'GET /admin/policies': ['listPolicies', 'shared access policies, with keys', { a: list(ref('Policy')) }],
	'GET /admin/policies/{name}': ['getPolicy', 'a policy, with keys', { a: ref('Policy'), e: [404] }],
	'PUT /admin/policies/{name}': ['createPolicy', 'a policy with two random keys', { q: 'rights', a: ref('Policy') }],
	'DELETE /admin/policies/{name}': ['deletePolicy', 'delete a policy, and close what its keys have opened', { a: none, e: [404] }],
	'POST /admin/policies/{name}/rotate': ['rotatePolicy', 'a new key of a policy', { q: 'key', a: ref('Policy'), e: [404] }],
	'POST /admin/backup': ['makeBackup', 'make a backup; answered when it is whole', { q: 'to', a: ref('BackupMade'), e: [500] }],
	'GET /admin/backups': ['listBackups', 'how backups went, and which are there', { a: ref('Backups') }],
	'GET /admin/clock': ['getClock', 'the clock of a hub for tests', { a: ref('Clock'), e: [404] }],
	'POST /admin/clock': ['advanceClock', 'put the clock of a hub for tests ahead', { b: takes({ advance: any }), a: ref('Clock'), e: [404] }],
	'GET /admin/faults': ['listFaults', 'what goes wrong by order, in a hub for tests', { a: list(ref('Fault')), e: [404] }],
	'POST /admin/faults': ['orderFault', 'order something to go wrong, in a hub for tests', { b: takes({ fault: s, 'count?': i, 'device?': s, 'status?': i, 'seconds?': n }), a: ref('Fault'), e: [404] }],
	'DELETE /admin/faults': ['clearFaults', 'nothing goes wrong by order any more', { a: none, e: [404] }],
	'GET /jobs/v2/query': ['listJobs', 'jobs', { q: 'jobType,jobStatus,pageSize,continuationToken', h: page, a: list(ref('Job')), oh: 'x-ms-continuation,x-ms-item-type' }],
	'POST /jobs/v2/{job}': ['tryJob', 'what a job would do (dryRun=true)', { q: 'dryRun', h: page, b: ref('JobToRun'), a: ref('JobPreview'), oh: 'x-ms-continuation' }],
	'PUT /jobs/v2/{job}': ['createJob', 'start a job', { q: 'dryRun', b: ref('JobToRun'), a: { oneOf: [ref('Job'), ref('JobPreview')] }, e: [409] }],
	'GET /jobs/v2/{job}': ['getJob', 'a job', { a: ref('Job'), e: [404] }],
	'POST /jobs/v2/{job}/cancel': ['cancelJob', 'end a job', { a: ref('Job'), e: [404, 405] }],
	'GET /admin/export': ['exportFleet', 'a page of all identities and twins, as lines', { q: 'keys', h: page, a: lines, oh: 'x-ms-continuation' }],
	'POST /admin/import': ['importFleet', 'identities and twins, as lines', { q: 'importMode,firstLine,again,strict', b: lines, a: ref('Imported') }],
	'POST /jobs/create': ['createFileJob', 'import or export files', { b: ref('FileJobToRun'), a: ref('FileJob'), e: [403] }],
	'GET /jobs': ['listFileJobs', 'jobs that import and export files', { a: list(ref('FileJob')) }],
	'GET /jobs/{job}': ['getFileJob', 'one of them', { a: ref('FileJob'), e: [404] }],
	'DELETE /jobs/{job}': ['cancelFileJob', 'end one of them', { a: none, e: [404] }],
	'GET /digitaltwins/{device}': ['getDigitalTwin', 'a twin as Plug and Play has it', { a: ref('DigitalTwin'), e: [404], oh: 'ETag' }],
	'PATCH /digitaltwins/{device}': ['updateDigitalTwin', 'change writable properties', { h: etag, b: ref('JsonPatch'), a: { 202: null }, e: [404, 412], oh: 'ETag,Location' }],
	'POST /digitaltwins/{device}/commands/{command}': ['digitalCommand', 'call a command', { b: any, a: any, e: [404, 504] }],
	'POST /digitaltwins/{device}/components/{component}/commands/{command}': ['componentCommand', 'call a command of a component', { b: any, a: any, e: [404, 504] }],
	'GET /sinks': ['listSinks', 'where events are delivered to', { a: list(ref('Sink')) }],
	'GET /sinks/{sink}': ['getSink', 'a sink, without its secrets', { a: ref('Sink'), e: [404], oh: 'ETag' }],
	'PUT /sinks/{sink}': ['putSink', 'create or replace a sink', { h: etag, b: ref('SinkToWrite'), a: ref('Sink'), e: [403, 409, 412], oh: 'ETag' }],
	'DELETE /sinks/{sink}': ['deleteSink', 'delete a sink', { h: etag, a: none, e: [404, 409, 412] }],
	'GET /routes': ['listRoutes', 'which events go to which sinks', { a: list(ref('Route')) }],
	'GET /routes/{route}': ['getRoute', 'a route', { a: ref('Route'), e: [404], oh: 'ETag' }],
	'PUT /routes/{route}': ['putRoute', 'create or replace a route', { h: etag, b: ref('RouteToWrite'), a: ref('Route'), e: [403, 404, 409, 412], oh: 'ETag' }],
	'DELETE /routes/{route}': ['deleteRoute', 'delete a route', { h: etag, a: none, e: [404, 412] }],
	'POST /routes/{route}/test': ['testRoute', 'would a message take a route?', { b: ref('RouteTest'), a: ref('RouteTested'), e: [404] }],
	'GET /settings': ['getSettings', 'settings of the whole hub', { a: ref('Settings'), oh: 'ETag' }],
	'PATCH /settings': ['updateSettings', 'change settings while the hub runs', { h: etag, b: ref('SettingsPatch'), a: ref('Settings'), e: [412], oh: 'ETag' }],
	'GET /devices/{device}/modules/$edgeHub/devicesAndModulesInDeviceScope': ['listScope', 'identities in the scope of an edge device', { q: 'continuationToken', a: free, e: [404] }],
	'GET /devices/{device}/modules/$edgeHub/deviceAndModuleInDeviceScope': ['getScope', 'one of them', { q: 'targetDeviceId,targetModuleId', a: free, e: [404] }],
	...nested('devicesAndModulesInTargetDeviceScope'), ...nested('getDeviceAndModuleOnBehalfOf'), ...nested('putModuleOnBehalfOf'), ...nested('getModuleOnBehalfOf'), ...nested('getModulesOnTargetDevice'), ...nested('deleteModuleOnBehalfOf'),
	'POST /devices/{device}/files': ['fileUpload', 'uploads of files: not served', { b: free, a: {}, e: [501] }],
	'POST /devices/{device}/files/notifications': ['fileUploadEnd', 'uploads of files: not served', { b: free, a: {}, e: [501] }],
	'GET /devices/{device}/messages/deviceBound': ['receiveMessage', 'the next message, locked for a while', { h: 'IotHub-MessageLockTimeout', a: { 200: bytesOf, 204: null }, e: [404], oh: 'ETag,iothub-messageid,iothub-deliverycount,iothub-enqueuedtime' }],
	'DELETE /devices/{device}/messages/deviceBound/{lock}': ['settleMessage', 'complete a message, or reject it', { q: 'reject', a: none, e: [404, 412] }],
	'POST /devices/{device}/messages/deviceBound/{lock}/abandon': ['abandonMessage', 'the message may come again', { a: none, e: [404, 412] }],
};

const open = {
	'GET /healthz': ['healthz', 'does the process answer?', { a: ref('Alive') }],
	'GET /livez': ['livez', 'the same, by the other name that there is for it', { a: ref('Alive') }],
	'GET /readyz': ['readyz', 'does it serve, and take changes?', { a: ref('Ready'), e: [503] }],
	'GET /metrics': ['metrics', 'figures for Prometheus, on a listener of their own (--metrics-bind)', { a: { 'text/plain': s, 'application/openmetrics-text': s }, e: [401], servers: [{ url: 'http://127.0.0.1:9464' }] }],
};

// ---- all of it, as OpenAPI ----

const MEANS = { 400: 'what was sent is none', 401: 'no token, or not these rights', 403: 'a limit or quota', 404: 'there is none', 405: 'not in this state', 409: 'it exists already, or is in use', 410: 'the log has lost it', 412: 'another etag', 413: 'too long', 429: 'too many: Retry-After says when again',
	500: 'the hub could not', 501: 'not served', 502: 'the device\'s answer is none', 503: 'the hub cannot now', 504: 'the device has not answered' };
const ANY_REQUEST = [400, 401, 413, 429, 503];

const parameter = (where, from) => (name) => {
	if (!from[name]) throw new Error(`scripts/openapi.js: what is ${name}?`);
	const [schema, description, required = false] = from[name];
	return { name, in: where, required, ...(description ? { description } : {}), schema };
};
const words = (text) => text ? text.split(',') : [];
// A body by its media type; a schema is JSON.
const isMedia = (of) => Object.keys(of).some((key) => key.includes('/'));
const content = (of) => Object.fromEntries(Object.entries(isMedia(of) ? of : { 'application/json': of }).map(([type, schema]) => [type, { schema }]));
const byStatus = (a) => Object.keys(a).length === 0 || Object.keys(a).every((key) => /^\d{3}$/.test(key)) ? a === any ? { 200: a } : a : { 200: a };

function responses({ a, e = [], oh }, secured) {
	const made = {}, shown = Object.fromEntries(words(oh).map((name) => [name, { schema: s }]));
	for (const [code, of] of Object.entries(byStatus(a)))
		made[code] = { description: code < 400 ? 'done' : MEANS[code], ...(code < 400 && oh ? { headers: shown } : {}), ...(of === null ? {} : { content: content(of) }) };
	for (const code of [...(secured ? ANY_REQUEST : []), ...e]) made[code] ??= { $ref: `#/components/responses/${code}` };
	made.default ??= { $ref: '#/components/responses/default' };
	return made;
}

function operation([operationId, summary, told], at, printed) {
	return {
		operationId, summary, tags: [at.split('/')[1]],
		parameters: [
			...[...at.matchAll(/\{([^}]*)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: pathValues[name] ?? s })),
			...(printed ? ['api-version'] : []).concat(words(told.q)).map(parameter('query', query)),
			...words(told.h).map(parameter('header', headers)),
		],
		...(told.b ? { requestBody: { content: content(told.b) } } : {}),
		...Object.fromEntries(Object.entries(printed ?? {}).filter(([key]) => key.startsWith('x-'))),
		...(printed ? {} : { security: [] }),
		...(told.servers ? { servers: told.servers } : {}),
		responses: responses(told, Boolean(printed)),
	};
}

// skeleton: what the program prints of its table.
function dress(skeleton) {
	const left = new Set(Object.keys(routes)), paths = {};
	for (const [at, methods] of Object.entries(skeleton.paths))
		for (const [method, printed] of Object.entries(methods)) {
			const route = `${method.toUpperCase()} ${at}`;
			if (!left.delete(route)) throw new Error(`scripts/openapi.js does not know ${route}`);
			(paths[at] ??= {})[method] = operation(routes[route], at, printed);
		}
	if (left.size > 0) throw new Error(`scripts/openapi.js: no routes: ${[...left].join(', ')}`);
	for (const [route, told] of Object.entries(open)) paths[route.slice(4)] = { get: operation(told, route.slice(4), null) };
	const error = (code) => [code, { description: MEANS[code] ?? 'an error', headers: { 'iothub-errorcode': { schema: s }, 'x-ms-request-id': { schema: s } }, content: content(ref('Error')) }];
	return { ...skeleton, paths, components: { ...skeleton.components, responses: Object.fromEntries([...Object.keys(MEANS), 'default'].map(error)), schemas } };
}

module.exports = { dress };

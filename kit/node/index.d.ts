export interface Identity {
	deviceId: string;
	moduleId?: string;
	/** Undefined where it shows a certificate. */
	primaryKey?: string;
	/** As the device SDKs take it. */
	connectionString: string;
}

export interface Hub {
	readonly hostName: string;
	readonly address: string;
	readonly httpsPort: number;
	readonly mqttsPort: number;
	/** The hub's directory, for `twinhub ... --data`. */
	readonly data: string;
	/** A file: the CA's certificate. */
	readonly ca: string;
	readonly caPem: string;
	/** By policy: iothubowner, service, device, registryRead, registryReadWrite. */
	readonly connectionStrings: Record<string, string>;
	/** Of iothubowner. */
	readonly connectionString: string;
	/** What the hub has logged last. */
	readonly log: string;
	/** A request to the service API; resolves to its body, rejects with an error that has `status` and `body`. */
	request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<any>;
	createDevice(deviceId: string, identity?: object): Promise<Identity>;
	createModule(deviceId: string, moduleId: string, identity?: object): Promise<Identity>;
	device(deviceId: string): Promise<Identity>;
	getTwin(deviceId: string): Promise<any>;
	updateTwin(deviceId: string, patch: object): Promise<any>;
	/** The hub's time, which tests put ahead: by 'PT2H', or by seconds. */
	readonly clock: { advance(by: string | number): Promise<HubTime>; now(): Promise<HubTime> };
	/** What is to go wrong, by order. */
	readonly faults: { add(fault: Fault): Promise<Fault>; list(): Promise<Fault[]>; clear(): Promise<void> };
	stop(): Promise<void>;
}

export interface Fault {
	fault: 'dropLink' | 'refuseConnect' | 'refuseTwin' | 'delayTwin' | 'loseNotification' | 'unavailable' | 'tokenSkew' | 'moveShard';
	/** How often; in a list, how often it will still happen. */
	count?: number;
	/** To this device; to all without it. */
	device?: string;
	/** Of refuseTwin. */
	status?: 429 | 500 | 503;
	/** Of delayTwin and tokenSkew: by how much; of unavailable: how long. */
	seconds?: number;
	/** In a list: how often it has happened. */
	readonly met?: number;
}

export interface HubTime {
	now: string;
	aheadSeconds: number;
}

export interface HubOptions {
	/** A file of lines, or the lines as objects. */
	seed?: string | object[];
	/** Free ports instead of 443 and 8883; SDKs cannot be told of them. */
	ports?: 'any';
	/** More options of `twinhub serve`. */
	args?: string[];
	timeoutMs?: number;
}

/** A hub of this program's own. */
export function startHub(options?: HubOptions): Promise<Hub>;
/** The hub that the command twinhub-kit has started for this program. */
export function wrappedHub(): Hub;
/** Where the program twinhub is: TWINHUB_BIN, or in PATH. Throws. */
export function findProgram(): string;

// Values that cannot be right, and what the chart says about each.

const listener = {
  name: 'public',
  bind: '0.0.0.0:8443',
  origins: ['https://api.example.com'],
  tls: { certificates: [{ cert: 'tls/public/tls.crt', key_file: 'tls/public/tls.key' }] },
};
const listeners = (...changes: object[]) => ({
  config: { listeners: changes.map((change) => ({ ...listener, ...change })) },
});
const redis = { replay: { store: 'redis', redis: { url: 'redis://redis:6379' } } };
const sidecar = { mode: 'sidecar', config: { upstreams: { orders: { targets: ['http://127.0.0.1:8080'] } } } };
const certificates = {
  client_certificate: { verify: 'possession' },
  client_certificate_from: { format: 'xfcc', field: 'x-forwarded-client-cert' },
  trusted_peers: [{ cidr: '10.0.0.0/8' }],
};

/** On top of the smallest values: what is changed, and what has to be in the message. */
export const REFUSED: Readonly<Record<string, readonly [values: object, message: RegExp]>> = {
  'several pods that remember proofs alone': [{ replicas: 2 }, /replicas is 2, .*set config\.replay\.store: redis/],
  'autoscaling of pods that remember proofs alone': [
    { autoscaling: { enabled: true } },
    /autoscaling\.enabled .*redis/,
  ],
  'an autoscaler whose bounds are the wrong way round': [
    { autoscaling: { enabled: true, minReplicas: 5, maxReplicas: 2 }, config: redis },
    /exchange them/,
  ],
  'more connections than fit into the memory': [
    listeners({ limits: { connections: 10_000 } }),
    /limits\.memory is 512Mi, and 1 workers .* can take 962 MiB: raise it to 962Mi, or leave limits\.connections out/,
  ],
  'more workers than fit into the memory': [
    { resources: { requests: { cpu: '8', memory: '256Mi' }, limits: { memory: '512M' } } },
    /limits\.memory is 512M, and 8 workers/,
  ],
  'more proofs than fit into the memory': [
    { config: { replay: { capacity: 16_000_000 } } },
    /limits\.memory is 512Mi, .*replay\.capacity/,
  ],
  'no listener': [{ config: { listeners: [] } }, /config\/listeners|config\.listeners is missing/],
  'no origins': [listeners({ origins: [] }), /listeners\[0\]\.origins is missing/],
  'plain HTTP without its flag': [listeners({ tls: undefined }), /plain HTTP.*insecure_plain_http: true/],
  'a port that only root opens': [
    listeners({ bind: '0.0.0.0:443' }),
    /bind 8443, and set service\.ports\.public\.port/,
  ],
  'a bind from the environment': [listeners({ bind: '${BIND}' }), /bind must be written out/],
  'a drain from the environment': [{ config: { drain: { grace: '${GRACE}' } } }, /drain\.grace must be written out/],
  'listeners on loopback alone': [listeners({ bind: '127.0.0.1:8443' }), /none that can be reached/],
  'two listeners on one port of the Service': [
    listeners({}, { name: 'other', bind: '0.0.0.0:8444' }),
    /set service\.ports\.other\.port/,
  ],
  'two listeners whose names become one': [
    listeners({ name: 'a.b' }, { name: 'a_b', bind: '0.0.0.0:8444', origins: ['http://x'] }),
    /port name a-b/,
  ],
  'a port of no listener': [
    { service: { ports: { pubic: { port: 443 } } } },
    /service\.ports\.pubic is not a listener/,
  ],
  'telemetry out of reach of the probes': [{ config: { telemetry: { bind: '127.0.0.1:9902' } } }, /out of reach/],
  'an admin port for everybody': [{ config: { admin: { bind: '0.0.0.0:9901' } } }, /admin\.bind shows/],
  'an upstream in the clear': [
    { config: { upstreams: { orders: { insecure_plain_http: false } } } },
    /upstreams\.orders\.targets has http:\/\/orders\.shop\.svc:8080, which is plain HTTP/,
  ],
  'a file that nothing mounts': [
    listeners({ tls: { certificates: [{ cert: 'tls/public/tls.crt', key_file: 'tls/pubic/tls.key' }] } }),
    /names the file tls\/pubic\/tls\.key, which the pod does not have/,
  ],
  'a password that nothing mounts': [
    { config: { replay: { store: 'redis', redis: { url: 'redis://redis:6379', password_file: 'secrets/redis' } } } },
    /secrets\/redis, which the pod does not have/,
  ],
  'a certificate from nowhere': [{ tls: { other: {} } }, /tls\.other needs secretName, or certManager/],
  'a file by subPath': [
    { extraVolumeMounts: [{ name: 'x', mountPath: '/x', subPath: 'y' }] },
    /subPath, and such a file is never updated/,
  ],
  'certificates that any pod could forge': [listeners(certificates), /could forge them.*networkPolicy\.clients/],
  'certificates that any pod could forge, without a policy': [
    { ...listeners(certificates), networkPolicy: { enabled: false, clients: [{ podSelector: {} }] } },
    /could forge them/,
  ],
  'alerts about metrics that are not collected': [{ monitoring: { rules: { enabled: true } } }, /are not collected/],
  'a sidecar past which others reach the application': [
    { mode: 'sidecar', sidecar: { podLabels: { app: 'orders' } } },
    /past the gateway.*127\.0\.0\.1 or a unix socket/,
  ],
  'a sidecar whose pods nobody finds': [sidecar, /sidecar\.podLabels is missing/],
  'probes on a route that demands a token': [
    { ...sidecar, sidecar: { podLabels: { app: 'orders' }, probePath: '/ready' } },
    /probePath \/ready is not a public route.*require: public/,
  ],
  'probes where a certificate is required': [
    {
      mode: 'sidecar',
      sidecar: { podLabels: { app: 'orders' }, probePath: '/healthz' },
      config: {
        ...sidecar.config,
        ...listeners({ client_certificate: { request: 'required', verify: 'possession' } }).config,
      },
    },
    /probes have none/,
  ],
  'probes where a PROXY header is required': [
    {
      mode: 'sidecar',
      sidecar: { podLabels: { app: 'orders' }, probePath: '/healthz' },
      config: { ...sidecar.config, ...listeners({ proxy_protocol: 'required' }).config },
    },
    /probes send none/,
  ],
  'a key that is none of the chart': [{ replica: 3 }, /additional properties 'replica' not allowed/],
  'a key that is none of the contract': [{ config: { drian: {} } }, /additional properties 'drian' not allowed/],
  'a value that is none of the contract': [{ config: { drain: { delay: 'soon' } } }, /config\/drain\/delay/],
};

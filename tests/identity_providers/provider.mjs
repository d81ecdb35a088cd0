// An authorization server made of oidc-provider, which a test can tell to rotate its keys.
// Arguments: the port, the API that its access tokens are for, and the secret of its clients.
// There is a client per algorithm, named after it. POST /rotate makes new keys.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const [port, api, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const algorithms = ['RS256', 'ES256', 'EdDSA'];

function newKey(type, options) {
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: randomBytes(16).toString('hex') };
}

// No `alg` at any key: the provider fills in what it thinks right.
function newKeys() {
  return [
    newKey('rsa', { modulusLength: 2048 }),
    newKey('ec', { namedCurve: 'P-256' }),
    newKey('ed25519'),
  ];
}

function serve(keys, signingKeys) {
  const kids = Object.fromEntries(algorithms.map((alg, i) => [alg, signingKeys[i].kid]));
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: algorithms.map((alg) => ({
      client_id: alg,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, _resource, { clientId: alg }) => ({
          scope: 'change',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg, kid: kids[alg] } },
        }),
        defaultResource: () => api,
      },
    },
  });
  return provider.callback();
}

let keys = newKeys();
let handle = serve(keys, keys);

// A rotation keeps the old keys in the set beside the new ones unless it is asked to forget them.
function rotate(forgetting) {
  const fresh = newKeys();
  keys = forgetting ? fresh : [...fresh, ...keys];
  handle = serve(keys, fresh);
}

createServer((request, response) => {
  if (request.method === 'POST' && request.url.startsWith('/rotate')) {
    rotate(request.url.endsWith('?forget'));
    response.writeHead(204).end();
  } else {
    handle(request, response);
  }
}).listen(Number(port), '127.0.0.1');

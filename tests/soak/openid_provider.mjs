// npm's oidc-provider with one client and its own forms for signing in, on loopback.
import Provider from 'oidc-provider';

const [port, redirect] = process.argv.slice(2);
const accounts = {
  ada: { email: 'ada@example.org', email_verified: true, name: 'Ada', groups: ['leads'] },
};
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{
    client_id: 'runyard',
    client_secret: 'a secret of forty characters, at the very least',
    redirect_uris: [redirect],
    application_type: 'native',
  }],
  claims: { openid: ['sub', 'auth_time'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  async findAccount(ctx, sub) {
    return { accountId: sub, claims: async () => ({ sub, ...(accounts[sub] ?? {}) }) };
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));

// Sends the set-up form together with the token after `#token=` in the address. The token stays in memory only: it is
// taken out of the address bar and the history at once.
const form = document.getElementById('setup-form');
const submit = document.getElementById('submit');
const outcome = document.getElementById('outcome');
const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
if (token) history.replaceState(null, '', location.pathname);
else {
  submit.disabled = true;
  tell('refused', 'This link has no token. Use the whole set-up link that the server printed when it started.');
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  submit.disabled = true;
  tell('waiting', 'One moment…');
  try {
    const answer = await fetch('/api/auth/setup', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token, email: form.elements.email.value, password: form.elements.password.value }),
    });
    if (answer.ok) return succeed();
    tell('refused', await reasonOf(answer));
  } catch {
    tell('refused', 'The server cannot be reached. Nothing was created; try again.');
  }
  submit.disabled = false;
});

function succeed() {
  form.reset();
  for (const input of form.querySelectorAll('input')) input.disabled = true;
  tell('done', 'The admin account is there. Sign in with it in the ');
  const link = document.createElement('a');
  link.href = '/swagger';
  link.textContent = 'API documentation';
  outcome.append(link, '.');
}

// RFC 9457: `detail`, and for faulty fields what is expected of each.
async function reasonOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  const faults = (problem.errors ?? []).map((fault) => `${fault.pointer.replace(/^\//, '')}: ${fault.detail}`);
  return [problem.detail ?? `The server answered ${answer.status}.`, ...faults].join(' ');
}

function tell(kind, text) {
  outcome.dataset.outcome = kind;
  outcome.textContent = text;
}

// Questions from inside to the gateway of the unit, and a note of what came.

import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const systemctl = (...args) => {
  try {
    return execFileSync('systemctl', args, { encoding: 'utf8' }).trim();
  } catch (error) {
    return `${error.stdout}${error.stderr}`.trim();
  }
};
const show = () =>
  systemctl('show', 'holdfast', '-p', 'ActiveState,SubState,Result,ExecMainStatus,User,NRestarts,StatusErrno');
const readyz = async () =>
  await fetch('http://127.0.0.1:9902/readyz').then(
    (answer) => answer.status,
    () => 0,
  );

const until = Date.now() + 60_000;
const told = { ready: 0, running: '', reloaded: '', stopped: '' };
while (Date.now() < until && (told.ready = await readyz()) !== 200) {
  if (/ActiveState=failed/.test(show())) break;
  await pause(200);
}
told.running = show();
told.reloaded = systemctl('reload', 'holdfast');
told.still = await readyz();
told.log = execFileSync('sh', ['-c', 'journalctl --no-pager -u holdfast 2>&1 | tail -20'], { encoding: 'utf8' });
systemctl('stop', 'holdfast');
told.stopped = show();
writeFileSync('/results/told.json.part', JSON.stringify(told));
renameSync('/results/told.json.part', '/results/told.json');

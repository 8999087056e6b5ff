// The restricted Pod Security Standard of Kubernetes, for one pod.

import { containersOf, type KubernetesObject } from './golden.ts';

const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];
const SECCOMP = ['RuntimeDefault', 'Localhost'];

/** What a pod does that neither baseline nor restricted allow. A setting of the container counts before that of the pod. */
export function breaches(pod: KubernetesObject): string[] {
  const { spec } = pod;
  const own = spec.securityContext ?? {};
  const found = ['hostNetwork', 'hostPID', 'hostIPC', 'hostUsers'].filter((key) => spec[key] === true);
  if (own.sysctls?.length > 0) found.push('sysctls');
  for (const { name, ...volume } of spec.volumes ?? []) {
    if (Object.keys(volume).some((kind) => !VOLUMES.includes(kind))) found.push(`volume ${name}`);
  }
  for (const container of containersOf(pod)) {
    const context = { ...own, ...container['securityContext'] };
    const { capabilities = {}, seccompProfile, seLinuxOptions, appArmorProfile } = context;
    const wrong: Record<string, boolean> = {
      privileged: context.privileged === true,
      allowPrivilegeEscalation: context.allowPrivilegeEscalation !== false,
      'capabilities.drop': !(capabilities.drop ?? []).includes('ALL'),
      'capabilities.add': (capabilities.add ?? []).some((one: string) => one !== 'NET_BIND_SERVICE'),
      runAsNonRoot: context.runAsNonRoot !== true,
      runAsUser: context.runAsUser === 0,
      seccompProfile: !SECCOMP.includes(seccompProfile?.type),
      seLinuxOptions: seLinuxOptions?.user !== undefined || seLinuxOptions?.role !== undefined,
      appArmorProfile: appArmorProfile?.type === 'Unconfined',
      procMount: (context.procMount ?? 'Default') !== 'Default',
      hostPort: (container['ports'] ?? []).some((port: KubernetesObject) => port['hostPort'] !== undefined),
      windows: context.windowsOptions?.hostProcess === true,
    };
    found.push(
      ...Object.keys(wrong)
        .filter((key) => wrong[key])
        .map((key) => `${container['name']}: ${key}`),
    );
  }
  return found;
}

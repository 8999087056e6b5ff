#!/bin/sh
# systemd as process 1 of namespaces, over a file system with the unit installed as docs/deploying.md says: unit.sh ROOT INSTALLED RESULTS
# INSTALLED has opt/holdfast, etc/holdfast, node and holdfast.service; RESULTS is a folder that the machine in there writes to.
set -eu
root=$1 installed=$2 results=$3
mount -t tmpfs -o mode=755 unit "$root"
cd "$root"
mkdir -p proc sys dev tmp run var/log etc/systemd/system opt usr/local/bin results
chmod 1777 tmp
for link in bin sbin lib lib64; do
  if [ -L "/$link" ]; then cp -P "/$link" .; fi
done
for part in bin sbin lib lib64 share; do
  [ -d "/usr/$part" ] || continue
  mkdir -p "usr/$part"
  mount --bind -o ro "/usr/$part" "usr/$part"
done
cp /etc/passwd /etc/group /etc/nsswitch.conf etc/
cp -r /etc/ssl etc/
: > etc/machine-id
cp -r "$installed/opt/holdfast" opt/
cp -r "$installed/etc/holdfast" etc/
install -m 755 "$installed/node" usr/local/bin/node
install -m 644 "$installed/holdfast.service" etc/systemd/system/
mount --bind "$results" results
# Asks until the gateway is ready, and tells what systemd knows.
cat > etc/systemd/system/asking.service <<'UNIT'
[Unit]
Wants=holdfast.service
After=holdfast.service
[Service]
Type=exec
ExecStart=/usr/local/bin/node /results/asking.mjs
UNIT
ip link set lo up
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
# As a machine's own: what systemd mounts for a unit, such as its credentials, is seen by all.
mount --make-rshared "$root"
exec chroot "$root" env -i container=test PATH=/usr/local/bin:/usr/sbin:/usr/bin /lib/systemd/systemd --system --unit=asking.service

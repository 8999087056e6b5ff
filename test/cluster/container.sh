#!/bin/sh
# The file system of a container, and in it a program as its user:
# container.sh ROOT MOUNTS ro|rw HOSTNAME FOLDER UID GID GROUPS PROGRAM [ARGUMENT]…
# MOUNTS is a file with lines of ro|rw, source and target, between tabs. Runs as process 1 in namespaces of its own.
set -eu
root=$1 mounts=$2 access=$3 name=$4 folder=$5 user=$6 group=$7 groups=$8
shift 8
mount -t tmpfs -o mode=755 container "$root"
cd "$root"
mkdir -p dev proc tmp etc run var usr/local/bin
chmod 1777 tmp
ln -s ../run var/run
for link in bin sbin lib lib64; do
  if [ -L "/$link" ]; then cp -P "/$link" .; fi
done
for part in usr/bin usr/sbin usr/lib usr/lib64 usr/share etc/ssl etc/alternatives; do
  [ -d "/$part" ] || continue
  mkdir -p "$part"
  mount --bind -o ro "/$part" "$part"
done
mount -t proc proc proc
mount --rbind /dev dev
hostname "$name"
printf '127.0.0.1 localhost\n' > etc/hosts
printf 'root:x:0:0::/:\n' > etc/passwd
while IFS='	' read -r mode source target; do
  if [ -d "$source" ]; then mkdir -p "./$target"; else mkdir -p "./${target%/*}"; [ -e "./$target" ] || : > "./$target"; fi
  mount --bind -o "$mode" "$source" "./$target"
done < "$mounts"
[ "$access" = rw ] || mount -o remount,ro "$root"
# A change of the user takes away the signal that comes with the parent's end: it is asked for again.
exec chroot "$root" env --chdir="$folder" setpriv --reuid "$user" --regid "$group" --groups "$groups" --no-new-privs \
  --bounding-set=-all --inh-caps=-all --pdeathsig KILL -- "$@"

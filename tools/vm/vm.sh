#!/usr/bin/env bash
# Runs a command under a Debian kernel that has sch_netem, in a virtual machine
# made for it: software emulation, a file system in memory, no network.
#
#	tools/vm/vm.sh run [--user] [--add FILE[:PATH]]... [--out FOLDER]
#	                   [--timeout SECONDS] [--] COMMAND...
#	tools/vm/vm.sh prepare
#
# --add puts a file or folder of this machine into the guest (/guest/NAME, or
# PATH); the command runs in /guest, as root, or with --user as an ordinary user.
# What it leaves in /out comes back into FOLDER. Its output is ours, and so is
# its exit code. 77: skipped, since the parts cannot be had here.
set -euo pipefail

cache=${NETCMP_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netcmp-vm}
release=6.1 # the kernel series of Debian 12

skip() {
	echo "skipped: $*" >&2
	exit 77
}

twice() { "$@" || { sleep 5; "$@"; }; }

# prepare gets what is missing: qemu and the tools as packages, if we are root;
# the kernel only into the cache.
prepare() {
	local wanted=() p
	command -v qemu-system-x86_64 >/dev/null || wanted+=(qemu-system-x86)
	if ! [ -x /bin/busybox ] || ldd /bin/busybox >/dev/null 2>&1; then
		wanted+=(busybox-static)
	fi
	for p in cpio kmod iproute2 ethtool; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q '^install ok' || wanted+=("$p")
	done
	if [ "${#wanted[@]}" -gt 0 ]; then
		if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
			skip "the virtual machine needs ${wanted[*]}"
		fi
		export DEBIAN_FRONTEND=noninteractive
		twice apt-get install -qq -y --no-install-recommends "${wanted[@]}" >/dev/null ||
			skip "${wanted[*]} cannot be installed"
	fi
	[ -e "$cache/modules.cpio.gz" ] && return
	mkdir -p "$cache"
	local work package
	work=$(mktemp -d "$cache/fetch.XXXXXX")
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		sed -n "s/^ *Depends: \(linux-image-${release}[^ ]*\)\$/\1/p" | head -n 1)
	if [ -z "$package" ] || ! (cd "$work" && twice apt-get download -q "$package" >/dev/null 2>&1); then
		rm -rf "$work"
		skip "no package linux-image-cloud-amd64 with a kernel $release"
	fi
	dpkg-deb -x "$work"/*.deb "$work/package"
	build_modules "$work"
	cp "$work"/package/boot/vmlinuz-* "$cache/vmlinuz"
	mv "$work/modules.cpio.gz" "$cache/modules.cpio.gz" # last: it says that all is there
	rm -rf "$work"
}

# build_modules packs the part of the kernel's modules that the tests can need.
build_modules() {
	local work=$1 from to version part
	from=$(echo "$work"/package/lib/modules/*)
	[ -d "$from" ] || from=$(echo "$work"/package/usr/lib/modules/*)
	version=${from##*/}
	to=$work/root/lib/modules/$version
	mkdir -p "$to/kernel"
	for part in net drivers/net drivers/virtio drivers/block drivers/char lib crypto arch/x86/crypto; do
		if [ -d "$from/kernel/$part" ]; then
			mkdir -p "$to/kernel/$part"
			cp -r "$from/kernel/$part/." "$to/kernel/$part/"
		fi
	done
	cp "$from"/modules.{order,builtin,builtin.modinfo} "$to/"
	/sbin/depmod -b "$work/root" "$version"
	(cd "$work/root" && find . | cpio --quiet -o -H newc | gzip -1 >"$work/modules.cpio.gz")
}

# install_program copies a program of this machine with its libraries.
install_program() {
	local root=$1 program=$2 lib
	program=$(PATH=$PATH:/sbin:/usr/sbin command -v "$program") || return 0
	mkdir -p "$root/usr/sbin" "$root/lib64"
	cp -L "$program" "$root/usr/sbin/"
	ldd "$program" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
		mkdir -p "$root${lib%/*}"
		cp -Ln "$lib" "$root$lib" 2>/dev/null || true
	done
}

# build_guest makes everything but the kernel and its modules.
build_guest() {
	local root=$1 program
	mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/lib,proc,sys,dev,tmp,run,etc,root,home/tester,guest,out,lib64}
	chmod 1777 "$root/tmp" "$root/out"
	cp /bin/busybox "$root/bin/busybox"
	for program in $(/bin/busybox --list); do
		case $program in
		busybox | tc | ip | ping | ping6) ;; # the real ones
		modprobe | init | depmod) ln -sf /bin/busybox "$root/sbin/$program" ;;
		*) ln -sf /bin/busybox "$root/bin/$program" ;;
		esac
	done
	for program in ip tc ethtool bash dash setpriv unshare nsenter ping jq; do
		install_program "$root" "$program"
	done
	# The shell is not busybox's: that one has a tc and an ip of its own.
	ln -sf /usr/sbin/dash "$root/bin/sh"
	ln -sf /usr/sbin/tc "$root/sbin/tc"
	ln -sf /usr/sbin/ip "$root/sbin/ip"
	ln -sf /usr/sbin/bash "$root/bin/bash"
	local tables
	for tables in /usr/lib/tc /usr/lib/x86_64-linux-gnu/tc /usr/lib64/tc; do
		if [ -d "$tables" ]; then
			mkdir -p "$root$tables"
			cp "$tables"/* "$root$tables/"
		fi
	done
	printf 'root:x:0:0:root:/root:/bin/sh\ntester:x:1000:1000:tester:/home/tester:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\ntester:x:1000:\n' >"$root/etc/group"
	cat >"$root/init" <<'INIT'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
chmod 1777 /tmp
ln -sf /proc/self/fd /dev/fd
for m in virtio_pci virtio_blk virtio_rng af_packet ipv6 veth; do modprobe -q "$m"; done
ip link set lo up
hostname vm
stty -F /dev/ttyS1 raw -echo 2>/dev/null
. /command.env
chown -R "$RUN_AS:$RUN_AS" /out /guest /home/tester
cd /guest
code=0
if [ "$RUN_AS" = 0 ]; then
	bash /command >/dev/ttyS1 2>&1 </dev/null || code=$?
else
	HOME=/home/tester setpriv --reuid 1000 --regid 1000 --clear-groups bash /command >/dev/ttyS1 2>&1 </dev/null || code=$?
fi
echo "$code" >/out/.code
tar -cf /dev/vda -C /out .
sync
poweroff -f
INIT
	chmod +x "$root/init"
}

run() {
	local user=0 limit=300 out='' adds=()
	while [ $# -gt 0 ]; do
		case $1 in
		--user) user=1000 ;;
		--add) adds+=("$2") && shift ;;
		--out) out=$2 && shift ;;
		--timeout) limit=$2 && shift ;;
		--) shift && break ;;
		-*) echo "vm.sh: $1 is unknown: want --user, --add, --out, --timeout" >&2 && exit 2 ;;
		*) break ;;
		esac
		shift
	done
	[ $# -gt 0 ] || { echo "vm.sh: no command given" >&2 && exit 2; }
	prepare

	# Not local: the trap runs when this function is gone.
	work=$(mktemp -d) machine=
	trap 'if [ -n "$machine" ]; then kill "$machine" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM HUP
	local root=$work/root a from to
	build_guest "$root"
	for a in ${adds[@]+"${adds[@]}"}; do
		from=${a%%:*} to=/guest/$(basename "${a%%:*}")
		case $a in *:*) to=${a#*:} ;; esac
		mkdir -p "$root$(dirname "$to")"
		cp -rL "$from" "$root$to"
	done
	echo "RUN_AS=$user" >"$root/command.env"
	printf '%s\n' "$*" >"$root/command"
	chmod -R a+rX "$root"
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 >"$work/guest.cpio.gz")
	cat "$cache/modules.cpio.gz" "$work/guest.cpio.gz" >"$work/initrd"
	rm -rf "$root"
	truncate -s 256M "$work/out.img"

	# kvm is not asked for: where it opens it need not work, and all that is
	# wanted of the machine is another kernel.
	timeout --kill-after=5 "$limit" qemu-system-x86_64 \
		-accel tcg,thread=multi -cpu max -smp 2 -m 2048 -no-reboot \
		-display none -monitor none -net none \
		-kernel "$cache/vmlinuz" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable rdinit=/init" \
		-device virtio-rng-pci -drive "file=$work/out.img,format=raw,if=virtio" \
		-serial "file:$work/console" -serial stdio </dev/null &
	machine=$!
	local status=0 code
	wait "$machine" || status=$?
	machine=
	mkdir -p "$work/got"
	tar -xf "$work/out.img" -C "$work/got" 2>/dev/null || true
	if [ ! -e "$work/got/.code" ]; then
		echo "vm.sh: the machine ended before the command did (status $status; 124: after $limit s)" >&2
		tail -n 20 "$work/console" >&2 || true
		exit 1
	fi
	code=$(cat "$work/got/.code")
	rm "$work/got/.code"
	if [ -n "$out" ]; then
		mkdir -p "$out"
		cp -r "$work/got/." "$out/"
	fi
	exit "$code"
}

case ${1-} in
prepare) prepare ;;
run) shift && run "$@" ;;
*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" && exit 2 ;;
esac

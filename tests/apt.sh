# Sourced by scripts that fetch packages of Debian without installing them: an apt of its own keeps
# its state in a directory of theirs, and this machine's stays as it is. They have a die.

# Without the suites of this machine, the mirror is its own all the same.
debian=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m1 '/debian/*$' || echo http://deb.debian.org/debian)
key=/usr/share/keyrings/debian-archive-keyring.gpg

# begin DIR ARCH SOURCE...: an apt in DIR/apt, with the packages of these sources for ARCH
begin() {
	apt=$1/apt
	mkdir -p "$apt"/{lists,archives}/partial
	: >"$apt/status"
	printf '%s\n' "${@:3}" >"$apt/sources.list"
	options=(-q -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt"
		-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null -o APT::Sandbox::User=root
		-o "APT::Architecture=$2" -o "APT::Architectures=$2" -o Acquire::Languages=none
		-o APT::Get::AllowUnauthenticated=false -o Acquire::Retries=3)
	quietly "no list of packages: $3" apt-get "${options[@]}" update
}

# quietly WORDS COMMAND...: its output goes to a log, whose end is shown with WORDS when it fails
quietly() {
	"${@:2}" >>"$apt/log" 2>&1 || { tail -n 5 "$apt/log" >&2; die "$1"; }
}

# download PACKAGE...: into the current directory
download() { quietly "cannot download $*" apt-get "${options[@]}" download "$@"; }

# with_needs PACKAGE...: and all that they depend on, into $apt/archives
with_needs() { quietly "cannot download $*" apt-get "${options[@]}" install --download-only --no-install-recommends -y "$@"; }

# unpack DIR FILE...: packages, over a root whose /bin is a link
unpack() {
	local dir=$1
	shift
	for deb in "$@"; do dpkg-deb --fsys-tarfile "$deb" | tar --keep-directory-symlink -xC "$dir"; done
}

# new_root DIR: a root whose /bin is a link
new_root() {
	mkdir -p "$1"/usr/{bin,sbin,lib,lib64}
	for d in bin sbin lib lib64; do ln -s usr/$d "$1/$d"; done
}

# passwd_of DIR: what base-passwd would make of its templates, without running it, and sh
passwd_of() {
	for f in passwd group; do cp "$1/usr/share/base-passwd/$f.master" "$1/etc/$f"; done
	ln -sf bash "$1/usr/bin/sh"
}

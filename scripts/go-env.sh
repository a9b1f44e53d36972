# Finds a Go that can build this module and puts it first in PATH.
# To be sourced from the top of the tree: . scripts/go-env.sh
#
# Looked at, in this order: $GOROOT/bin, PATH, /usr/local/go/bin, ~/go/bin,
# ~/sdk/go*/bin, /usr/lib/go*/bin, /usr/lib/golang/bin, /snap/bin. The first
# that is new enough wins. If all are too old, the newest kind (1.21 and later)
# may still be able to fetch the right toolchain by itself, so that is tried last.

# go_at_least HAVE WANT: both as 1.26.4; a missing third number counts as 0.
go_at_least() {
	awk -v have="$1" -v want="$2" 'BEGIN {
		split(have, h, /[^0-9]+/); split(want, w, /[^0-9]+/)
		for (i = 1; i <= 3; i++) if (h[i] + 0 != w[i] + 0) exit !(h[i] + 0 > w[i] + 0)
	}'
}

# Build caches need a home, which a bare environment may not name.
HOME=${HOME:-/root}
export HOME

go_find() {
	go_want=$(awk '$1 == "go" { print $2; exit }' go.mod)
	go_seen=
	go_old=
	for go_dir in "${GOROOT:+$GOROOT/bin}" \
		"$(dirname "$(command -v go 2>/dev/null || echo /nowhere/go)")" \
		/usr/local/go/bin "$HOME/go/bin" "$HOME"/sdk/go*/bin /usr/lib/go*/bin /usr/lib/golang/bin /snap/bin; do
		[ -n "$go_dir" ] && [ -x "$go_dir/go" ] || continue
		go_have=$(cd / && unset GOROOT && GOTOOLCHAIN=local "$go_dir/go" env GOVERSION 2>/dev/null) || continue
		if go_at_least "${go_have#go}" "$go_want"; then
			unset GOROOT # each go knows its own
			GOTOOLCHAIN=local
			PATH=$go_dir:$PATH
			export GOTOOLCHAIN PATH
			return 0
		fi
		go_seen="$go_seen, ${go_have#go} in $go_dir"
		go_old=${go_old:-$go_dir}
	done
	if [ -n "$go_old" ] && "$go_old/go" version >/dev/null 2>&1; then
		PATH=$go_old:$PATH
		export PATH
		return 0
	fi
	if [ -n "$go_seen" ]; then
		echo "error: Go $go_want or newer is needed; found only ${go_seen#, }" >&2
	else
		echo "error: Go $go_want or newer is needed, and no go was found in PATH, /usr/local/go/bin, ~/go/bin or /usr/lib/go*/bin" >&2
	fi
	echo "hint: install it from https://go.dev/dl/ into /usr/local/go, or set GOROOT to where it is" >&2
	return 1
}

go_find || exit 1

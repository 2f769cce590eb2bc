# Bash completion for hutch: commands, flags, and the ids of containers. It asks
# hutch itself, so it is never out of date.

_hutch_flags() { # the flags in the help text of a command, or of hutch
	hutch "$@" --help 2>/dev/null | grep -oE '^ +-.*  ' | grep -oE -- '--?[a-z][a-z-]*'
}

_hutch() {
	local word=${COMP_WORDS[COMP_CWORD]} command= root=() i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root | --log | --log-format | --cgroup-manager | --rootless)
			[ "${COMP_WORDS[i]}" = --root ] && root=(--root "${COMP_WORDS[i + 1]}")
			i=$((i + 1))
			;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	if [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W "$(_hutch_flags $command)" -- "$word"))
	elif [ -z "$command" ]; then
		COMPREPLY=($(compgen -W "$(hutch --help 2>/dev/null | sed -n '/^COMMANDS:/,/^$/s/^   \([a-z]*\)[, ].*/\1/p')" -- "$word"))
	else
		case $command in
		start | exec | state | kill | delete | pause | resume | update | events | ps)
			COMPREPLY=($(compgen -W "$(hutch "${root[@]}" list -q 2>/dev/null)" -- "$word"))
			;;
		esac
	fi
}

# Where nothing is found, file names are offered.
complete -o default -F _hutch hutch

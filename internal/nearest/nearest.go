// Package nearest finds the word that a misspelt one may stand for: of commands and flags,
// of the values of config.json, of signals and the like.
package nearest

import "strings"

// To returns the one of names that a name which is none of them may stand for, or an empty
// string when none is like it: one of another case, one that lacks its beginning up to a _
// or its end, else the one with the fewest differences.
func To(name string, names []string) string {
	if name == "" {
		return ""
	}
	word := strings.ToLower(name)
	if part := partOf(word, names); part != "" {
		return part
	}
	best, least := "", max(1, len(name)/3)+1
	for _, n := range names {
		lower := strings.ToLower(n)
		d := distance(word, lower)
		if _, rest, ok := strings.Cut(lower, "_"); ok { // sys_admn for CAP_SYS_ADMIN
			d = min(d, distance(word, rest))
		}
		// Of two that are as near the one with the same beginning: few misspell that.
		begins := strings.HasPrefix(lower, word[:1]) && !strings.HasPrefix(strings.ToLower(best), word[:1])
		if d < least || d == least && best != "" && begins {
			best, least = n, d
		}
	}
	if best == "" {
		return sameEnd(word, names)
	}
	return best
}

// sameEnd returns the only one of names whose last word is that of word, where words are
// joined by _, as scmp_allow and SCMP_ACT_ALLOW.
func sameEnd(word string, names []string) string {
	end := word[strings.LastIndexByte(word, '_')+1:]
	if end == word {
		return ""
	}
	return partOf(end, names)
}

// partOf returns the only one of names that word is the end of behind a _, as nofile of
// RLIMIT_NOFILE, or the beginning, as net of network.
func partOf(word string, names []string) string {
	const short = 3 // shorter ones are the beginning of too much
	found := ""
	for _, n := range names {
		lower := strings.ToLower(n)
		switch {
		case lower == word:
			return n
		case strings.HasSuffix(lower, "_"+word), len(word) >= short && strings.HasPrefix(lower, word):
			if found != "" {
				return ""
			}
			found = n
		}
	}
	return found
}

// Hint returns "did you mean NAME?", or an empty string when none of names is like name.
func Hint(name string, names []string) string {
	if like := To(name, names); like != "" {
		return "did you mean " + like + "?"
	}
	return ""
}

// Or returns want, what a user is told to do about a name that is none of names, and behind
// it the name that may be meant, if there is one.
func Or(name string, names []string, want string) string {
	if hint := Hint(name, names); hint != "" {
		return want + "; " + hint
	}
	return want
}

// distance is the number of bytes to insert, to leave out, to change, or to swap with
// their neighbour, that make b of a.
//
// Source: the optimal string alignment distance.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

package tutorial

import "strings"

// step is a command of the page with what it prints.
type step struct {
	command string // with its here-document, without the last line end
	output  string // as the page has it; each line ends with a line end
}

// part is a piece of the page: text, or a block of steps.
type part struct {
	text  string // as it stands, for all that is not a block
	steps []step
}

const (
	opening = "```console\n"
	closing = "```\n"
	prompt  = "$ "
)

// parse splits the page. In a block, a line that begins with "$ " is a command;
// where it has a here-document the lines up to its end belong to it. The lines
// up to the next command are output.
func parse(page string) []part {
	var parts []part
	for page != "" {
		text, rest, found := strings.Cut(page, opening)
		parts = append(parts, part{text: text})
		if !found {
			break
		}
		var block string
		block, page, _ = strings.Cut(rest, closing)
		parts = append(parts, part{steps: parseBlock(block)})
	}
	return parts
}

func parseBlock(block string) []step {
	var steps []step
	var end string // line that ends the here-document, empty outside of one
	for line := range strings.Lines(block) {
		command, isCommand := strings.CutPrefix(line, prompt)
		switch {
		case end != "":
			last := &steps[len(steps)-1]
			last.command += "\n" + strings.TrimSuffix(line, "\n")
			if line == end+"\n" {
				end = ""
			}
		case isCommand:
			steps = append(steps, step{command: strings.TrimSuffix(command, "\n")})
			if _, word, has := strings.Cut(command, "<<'"); has {
				end, _, _ = strings.Cut(word, "'")
			}
		case len(steps) > 0:
			steps[len(steps)-1].output += line
		}
	}
	return steps
}

// format is parse's inverse.
func format(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.text)
		if p.steps == nil {
			continue
		}
		b.WriteString(opening)
		for _, s := range p.steps {
			b.WriteString(prompt + s.command + "\n" + s.output)
		}
		b.WriteString(closing)
	}
	return b.String()
}

package life

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/hutch-project/hutch/internal/jsontext"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// Proof is what has been shown of a plan: each rule that programs are held to, with the
// instructions that satisfy it.
type Proof struct {
	report *verify.Report
}

// Verify proves the program of p against the configuration on all the ways that it can
// take. The error names the rule that is broken, where, and how the program comes there.
func (p *Plan) Verify() (*Proof, error) { return prove(p.out.Program, p.expect()) }

func prove(p *program.Program, expect *verify.Expect) (*Proof, error) {
	r, err := verify.Program(p, expect)
	var broken *verify.Error
	if errors.As(err, &broken) {
		err = fmt.Errorf("plan: %w\nrule: %s\nway: %s\nstate: %s", err, broken.Rule, broken.Way(), broken.State)
	}
	if err != nil {
		return nil, err
	}
	return &Proof{r}, nil
}

// WriteText writes two lines a rule: its name and its text, and the instructions by
// their numbers in the listing of the plan.
func (p *Proof) WriteText(w io.Writer) error {
	var buf []byte
	for _, proof := range p.report.Proofs {
		buf = append(append(append(append(buf, proof.Rule.ID()...), ": "...), proof.Rule.String()...), "\n    "...)
		switch {
		case proof.Waived != "":
			buf = append(append(buf, "not held to: "...), proof.Waived...)
		case proof.Rule.Everywhere():
			buf = append(buf, "held to at every instruction"...)
		case len(proof.Places) == 0:
			buf = append(buf, "no instruction of this program is concerned"...)
		default:
			buf = appendPlaces(buf, proof.Places)
		}
		buf = append(buf, '\n')
	}
	_, err := w.Write(buf)
	return err
}

// appendPlaces appends the instructions, runs of them as 3-5.
func appendPlaces(buf []byte, places []verify.Place) []byte {
	for i := 0; i < len(places); i++ {
		first := i
		for i+1 < len(places) && places[i+1].Parent == places[i].Parent && places[i+1].PC == places[i].PC+1 {
			i++
		}
		if first > 0 {
			buf = append(buf, ", "...)
		}
		buf = append(buf, places[first].String()...)
		if i > first {
			buf = strconv.AppendInt(append(buf, '-'), int64(places[i].PC), 10)
		}
	}
	return buf
}

// WriteJSON writes an object with all rules, by docs/proof.schema.json.
func (p *Proof) WriteJSON(w io.Writer) error {
	buf := []byte(`{"version":"` + listingVersion + `","rules":[`)
	for i, proof := range p.report.Proofs {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = jsontext.AppendString(append(buf, "\n{\"rule\":"...), proof.Rule.ID())
		buf = jsontext.AppendString(append(buf, `,"says":`...), proof.Rule.String())
		if proof.Waived != "" {
			buf = jsontext.AppendString(append(buf, `,"waived":`...), proof.Waived)
		}
		buf = append(buf, `,"instructions":[`...)
		for j, place := range proof.Places {
			if j > 0 {
				buf = append(buf, ',')
			}
			section := "child"
			if place.Parent {
				section = "parent"
			}
			buf = jsontext.AppendString(append(buf, `{"section":`...), section)
			buf = append(strconv.AppendInt(append(buf, `,"pc":`...), int64(place.PC), 10), '}')
		}
		buf = append(buf, "]}"...)
	}
	_, err := w.Write(append(buf, "\n]}\n"...))
	return err
}

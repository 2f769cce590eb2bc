package systemd

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/hutch-project/hutch/internal/dbus"
)

// AnnotationPrefix begins the annotations that are unit properties.
const AnnotationPrefix = "org.systemd.property."

// SubgroupAnnotation names a control group below that of the unit, which then has the
// container's processes and limits, so that the unit is systemd's alone.
//
// Source: crun(1), "run.oci.systemd.subgroup", which is "container" there by default.
const SubgroupAnnotation = "run.oci.systemd.subgroup"

// Subgroup returns the name of that group, empty for none.
func Subgroup(annotations map[string]string) (string, error) {
	name := annotations[SubgroupAnnotation]
	if name == "." || name == ".." || strings.ContainsAny(name, "/\x00\n") || len(name) > longest {
		return "", fmt.Errorf("config.json: annotations[%s]: %q is no name of a control group; give one without a slash", SubgroupAnnotation, name)
	}
	return name, nil
}

// FromAnnotations returns the properties that annotations named
// "org.systemd.property.NAME" ask for, in the order of their names. The value is
// in GVariant's text format, as in "uint64 5", "true", "'text'" or
// "['a.service', 'b.service']". A name that ends with "Sec" after a lower-case
// letter becomes one that ends with "USec", and its number of seconds one of
// microseconds.
//
// Source: runc's docs/systemd.md, "Auxiliary properties".
func FromAnnotations(annotations map[string]string) ([]dbus.Property, error) {
	var list []dbus.Property
	for key, text := range annotations {
		name, ok := strings.CutPrefix(key, AnnotationPrefix)
		if !ok {
			continue
		}
		p, err := fromAnnotation(name, text)
		if err != nil {
			return nil, fmt.Errorf("annotations[%s]: %w", key, err)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b dbus.Property) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func fromAnnotation(name, text string) (dbus.Property, error) {
	if len(name) < 3 {
		return dbus.Property{}, errors.New("the property's name has fewer than 3 letters")
	}
	for i := range len(name) {
		if !letter(name[i]) {
			return dbus.Property{}, errors.New("the property's name has other characters than letters")
		}
	}
	v, err := dbus.ParseText(text)
	if err != nil {
		return dbus.Property{}, fmt.Errorf("%q: %w", text, err)
	}
	if stem, ok := strings.CutSuffix(name, "Sec"); ok && stem != "" && 'a' <= stem[len(stem)-1] && stem[len(stem)-1] <= 'z' {
		name = stem + "USec"
		if v, err = microseconds(&v); err != nil {
			return dbus.Property{}, fmt.Errorf("%q: %w", text, err)
		}
	}
	return dbus.Property{Name: name, Value: v}, nil
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// microseconds converts a number of seconds of any type; the largest of type t is
// infinity in both.
func microseconds(v *dbus.Value) (dbus.Value, error) {
	const perSecond = 1000000
	errRange := errors.New("is no number of seconds of a unit's time")
	if len(v.Signature()) != 1 {
		return dbus.Value{}, errRange
	}
	switch v.Signature()[0] {
	case 't':
		if v.Bits() == infinity {
			return *v, nil
		}
	case 'y', 'q', 'u':
	case 'n', 'i', 'x':
		if int64(v.Bits()) < 0 {
			return dbus.Value{}, errRange
		}
	case 'd':
		us := math.Float64frombits(v.Bits()) * perSecond
		if !(us >= 0 && us < 1<<63) {
			return dbus.Value{}, errRange
		}
		return dbus.Uint64(uint64(us)), nil
	default:
		return dbus.Value{}, errRange
	}
	hi, us := bits.Mul64(v.Bits(), perSecond)
	if hi != 0 {
		return dbus.Value{}, errRange
	}
	return dbus.Uint64(us), nil
}

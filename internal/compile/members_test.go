package compile

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestMembersOfAProcessReachExec: each field of ofProcess is a member of linux, which the
// record keeps for exec, and which is taken from there. A member that is left out of one
// of the three would leave the processes of exec less confined than init.
func TestMembersOfAProcessReachExec(t *testing.T) {
	var names []string
	linux := &specs.Linux{}
	kind := reflect.TypeFor[ofProcess]()
	for i := range kind.NumField() {
		field := kind.Field(i)
		member, ok := reflect.TypeFor[specs.Linux]().FieldByName(field.Name)
		if !ok || member.Type != field.Type {
			t.Fatalf("%s is no member of linux", field.Name)
		}
		name, _, _ := strings.Cut(member.Tag.Get("json"), ",")
		names = append(names, name)
		reflect.ValueOf(linux).Elem().FieldByName(field.Name).Set(reflect.New(field.Type.Elem()))
	}
	if got := LinuxOfProcess(); !slices.Equal(got, names) {
		t.Errorf("the record keeps %q, want %q", got, names)
	}
	taken := reflect.ValueOf(membersOf(linux))
	for i := range kind.NumField() {
		if taken.Field(i).IsNil() {
			t.Errorf("%s is not taken from linux", kind.Field(i).Name)
		}
	}
}

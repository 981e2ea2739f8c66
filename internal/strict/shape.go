package strict

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// kind is the JSON type that a Go type takes.
type kind string

const (
	free       kind = "any JSON"
	object     kind = "an object"
	dictionary kind = "an object with values" // a map: any names
	list       kind = "a list"
	text       kind = "a string"
	whole      kind = "a whole number"
	number     kind = "a number"
	boolean    kind = "true or false"
)

func (k kind) String() string {
	if k == dictionary {
		return string(object)
	}
	return string(k)
}

// shape is what the walk needs to know of a Go type.
type shape struct {
	typ      reflect.Type // without pointers
	kind     kind
	custom   bool                    // the type reads JSON itself; only it knows what type is right
	tried    bool                    // a value has to be tried on the type: its JSON type says too little
	fields   map[string]reflect.Type // of an object
	names    []string                // the same, in order of declaration
	elem     reflect.Type            // of a list or dictionary; nil for free-form JSON
	elemNull bool                    // whether an element may be null
}

var (
	timeType    = reflect.TypeFor[time.Time]()
	jsonMethod  = reflect.TypeFor[json.Unmarshaler]()
	textMethod  = reflect.TypeFor[encoding.TextUnmarshaler]()
	bytesType   = reflect.TypeFor[[]byte]()
	freeShape   = &shape{kind: free, elemNull: true}
	shapeByType sync.Map // reflect.Type to *shape: remembers a pure function, as encoding/json does
)

// shapeOf gives the shape of a type.
func shapeOf(t reflect.Type) *shape {
	if t == nil {
		return freeShape
	}
	if s, ok := shapeByType.Load(t); ok {
		return s.(*shape)
	}
	s := newShape(t)
	shapeByType.Store(t, s)
	return s
}

func newShape(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := &shape{typ: t}
	own := reflect.PointerTo(t).Implements(jsonMethod)
	switch {
	case own && t.Kind() != reflect.Struct, t.Kind() == reflect.Interface:
		return freeShape
	case own:
		s.custom, s.tried = true, true
	case reflect.PointerTo(t).Implements(textMethod), t == bytesType:
		s.kind, s.tried = text, true
		return s
	}
	switch t.Kind() {
	case reflect.Struct:
		s.kind, s.fields = object, map[string]reflect.Type{}
		s.addFields(t)
		if s.custom && len(s.fields) == 0 {
			s.kind = text // time.Time and its like
		}
	case reflect.Map:
		s.kind, s.elem, s.elemNull = dictionary, t.Elem(), t.Elem().Kind() == reflect.Pointer
	case reflect.Slice, reflect.Array:
		s.kind, s.elem = list, t.Elem()
	case reflect.String:
		s.kind = text
	case reflect.Bool:
		s.kind = boolean
	case reflect.Float32, reflect.Float64:
		s.kind, s.tried = number, true
	default:
		s.kind, s.tried = whole, true
	}
	return s
}

// addFields adds the members of a struct; those of embedded structs come
// last and do not hide a member that is there.
func (s *shape) addFields(t reflect.Type) {
	var embedded []reflect.Type
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			embedded = append(embedded, f.Type)
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		if _, there := s.fields[name]; !there {
			s.fields[name] = f.Type
			s.names = append(s.names, name)
		}
	}
	for _, e := range embedded {
		s.addFields(e)
	}
}

// Nearest gives the known name that name was probably meant to be, or "".
func Nearest(name string, known []string) string {
	if len(name) > 64 {
		return ""
	}
	fold := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "") }
	best, least := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if fold(k) == fold(name) {
			return k
		}
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of single-byte edits between two names; two
// neighbours that changed places count as one (optimal string alignment).
func distance(a, b string) int {
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = slices.Min([]int{last[j] + 1, now[j-1] + 1, last[j-1] + cost})
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

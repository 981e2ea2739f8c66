package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// convert makes of a value, as YAML or text gives it, one of the type of the
// key's field. It is strict: a number is not text, and text is a number only
// where a source knows nothing but text. Its error says what is wrong; the
// caller adds an example.
func convert(k key, v any) (any, error) {
	var c Config
	t := fields(&c)[k.name].Type()
	switch {
	case v == nil:
		return nil, fmt.Errorf("has no value")
	case t == durationType:
		return toDuration(v)
	case t.Kind() == reflect.String:
		if s, ok := v.(string); ok {
			return s, nil
		}
		return nil, fmt.Errorf("%s is not text", show(v))
	case t.Kind() == reflect.Slice:
		return toList(v)
	case t.Kind() == reflect.Bool:
		return toBool(v)
	case t.Kind() == reflect.Float64:
		return toFloat(v)
	default:
		return toInt(v)
	}
}

// toList makes a list of texts; where a source knows nothing but text, they are
// separated by commas.
func toList(v any) (any, error) {
	var out []string
	switch x := v.(type) {
	case []string: // a value of the field itself
		return x, nil
	case string:
		for part := range strings.SplitSeq(x, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
		return out, nil
	case []any:
		for _, e := range x {
			if n, ok := e.(int); ok { // a port, which nobody puts in quotes
				e = strconv.Itoa(n)
			}
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("%s in the list is not text", show(e))
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s is not a list of texts", show(v))
}

func toDuration(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%s is not a duration: it needs a unit", show(v))
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, fmt.Errorf("%s is not a duration", show(v))
	}
	return d, nil
}

func toBool(v any) (any, error) {
	switch v {
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return nil, fmt.Errorf("%s is neither true nor false", show(v))
}

func toFloat(v any) (any, error) {
	var f float64
	switch x := v.(type) {
	case float64:
		f = x
	case int:
		f = float64(x)
	case string:
		parsed, err := strconv.ParseFloat(x, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is not a number", show(v))
		}
		f = parsed
	default:
		return nil, fmt.Errorf("%s is not a number", show(v))
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%s is not a finite number", show(v))
	}
	return f, nil
}

func toInt(v any) (any, error) {
	switch x := v.(type) {
	case int:
		return int64(x), nil
	case int64:
		return x, nil
	case string:
		if n, err := strconv.ParseInt(x, 10, 64); err == nil {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%s is not a whole number", show(v))
}

// show quotes a value for an error, shortened.
func show(v any) string {
	switch v.(type) {
	case map[string]any, map[any]any, []any:
		return "a list or section"
	case string:
		return fmt.Sprintf("%.60q", v)
	}
	return fmt.Sprintf("%.60s", fmt.Sprint(v))
}

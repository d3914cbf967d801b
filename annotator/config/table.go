package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// entry is one value that can be configured.
type entry struct {
	key   string // as in the file, with dots: limits.max_packets
	value reflect.Value
}

// entries lists all values of a configuration, in the order of the file. Setting
// one sets the configuration's.
func entries(c *Config) []entry {
	var list []entry
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			key := prefix + v.Type().Field(i).Tag.Get("yaml")
			if v.Field(i).Kind() == reflect.Struct {
				walk(key+".", v.Field(i))
				continue
			}
			list = append(list, entry{key, v.Field(i)})
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return list
}

// set gives an entry the value that a text stands for.
func (e entry) set(text string) error {
	switch v := e.value.Addr().Interface().(type) {
	case *Size:
		size, err := parseSize(text)
		if err != nil {
			return err
		}
		*v = size
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is no time such as 90s, 10m or 1h30m", text)
		}
		*v = d
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is no whole number", text)
		}
		*v = n
	case *float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%q is no number", text)
		}
		*v = x
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*v = b
	case *string:
		*v = text
	default:
		return fmt.Errorf("a value is given where there is a list")
	}
	return nil
}

// setList gives an entry, which must be a list, its elements.
func (e entry) setList(elements []string) error {
	v, ok := reflect.TypeAssert[*[]string](e.value.Addr())
	if !ok {
		return fmt.Errorf("a list is given where there is one value")
	}
	*v = elements
	return nil
}

// text returns the value as the file has it.
func (e entry) text() string {
	switch v := e.value.Interface().(type) {
	case time.Duration:
		return shortDuration(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return quoted(v)
	case []string:
		words := make([]string, len(v))
		for i, s := range v {
			words[i] = quoted(s)
		}
		return "[" + strings.Join(words, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// shortDuration writes 10m instead of 10m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// quoted writes a string as YAML does: quotes are always allowed.
func quoted(s string) string { return strconv.QuoteToGraphic(s) }

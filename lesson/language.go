package lesson

import "fmt"

// Language is that of a lesson's titles and sentences. What is held against what was
// measured, and the names that programs know, are English in any.
type Language string

// Languages.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// catalogues have the sentences of each language by the English ones.
var catalogues = map[Language]map[string]string{English: nil, Chinese: chinese}

// ParseLanguage finds a language by its tag; "" is English.
func ParseLanguage(tag string) (Language, error) {
	l := Language(tag)
	if l == "" {
		l = English
	}
	if _, known := catalogues[l]; !known {
		return "", fmt.Errorf("language %q is unknown; known: %s, %s", tag, English, Chinese)
	}
	return l, nil
}

// words are a sentence, or what one is made by, in the language; English where the
// catalogue does not have it.
func (l Language) words(english string) string {
	if s, ok := catalogues[l][english]; ok {
		return s
	}
	return english
}

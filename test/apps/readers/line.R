# Prints a line of the listing; see listing.py.
# Bytes are numbers, which R calls raw.
report <- function(path, attribute, read) {
  line <- tryCatch({
    value <- read()
    if (is.factor(value)) value <- as.character(value)
    if (is.numeric(value) || is.logical(value) || is.raw(value) || inherits(value, "integer64")) {
      numbers <- as.numeric(value)
      c("number", path, attribute, length(numbers), sprintf("%.17g", sum(numbers[is.finite(numbers)])))
    } else if (is.character(value)) {
      characters <- charToRaw(enc2utf8(paste0(value, collapse = "")))
      c("text", path, attribute, length(value), paste0(format(characters), collapse = ""))
    } else stop(paste("gives", class(value)[1]))
  }, error = function(e) c("error", path, attribute, "", gsub("[\n\t]", " ", conditionMessage(e))))
  cat(paste(line, collapse = "\t"), "\n", sep = "")
}

# Lists what hdf5r reads of a file.
arguments <- commandArgs(trailingOnly = TRUE)
source(file.path(arguments[2], "line.R"))
suppressMessages(library(hdf5r))
walk <- function(object, path) {
  for (name in h5attr_names(object)) report(path, name, function() h5attr(object, name))
  if (inherits(object, "H5D")) {
    report(path, "", function() readDataSet(object))
    return(invisible())
  }
  for (name in names(object)) walk(object[[name]], paste0(sub("/$", "", path), "/", name))
}
walk(H5File$new(arguments[1], mode = "r"), "/")

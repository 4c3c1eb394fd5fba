# Lists what rhdf5 reads of a file.
arguments <- commandArgs(trailingOnly = TRUE)
source(file.path(arguments[2], "line.R"))
suppressMessages(library(rhdf5))
file <- arguments[1]
attributes_of <- function(path) {
  handle <- H5Fopen(file, flags = "H5F_ACC_RDONLY")
  object <- H5Oopen(handle, path)
  count <- H5Oget_num_attrs(object)
  for (i in seq_len(count)) {
    attribute <- H5Aopen_by_idx(object, i - 1)
    name <- H5Aget_name(attribute)
    report(path, name, function() H5Aread(attribute))
    H5Aclose(attribute)
  }
  H5Oclose(object)
  H5Fclose(handle)
}
listing <- h5ls(file, all = TRUE)
attributes_of("/")
for (i in seq_len(nrow(listing))) {
  path <- paste0(sub("/$", "", listing$group[i]), "/", listing$name[i])
  if (listing$otype[i] == "H5I_DATASET") report(path, "", function() h5read(file, path, bit64conversion = "double"))
  attributes_of(path)
}

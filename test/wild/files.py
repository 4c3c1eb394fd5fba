"""The files of the test, each with what is right: the numbers of an independent reader, or a refusal.

`accepted` names a reader. `refused` names words that the message must contain, and `why` the refusal is right.
Paths are patterns below the root of the unpacked package.
"""

import dataclasses
import pathlib
import typing

from readers import (array, hexadecimal, lines_of_numbers, matlab, netcdf, npy, npy_records, numbers, records, table)


@dataclasses.dataclass
class Entry:
    package: str
    path: str
    read: typing.Optional[typing.Callable[[pathlib.Path], tuple]] = None
    inside: str = ""  # the array or member in the file
    arguments: typing.Sequence[str] = ()
    words: typing.Sequence[str] = ()  # of the message; empty: the file is accepted
    why: str = ""


def accepted(package, path, read, inside="", arguments=(), why=""):
    return Entry(package, path, read, inside, arguments, (), why)


def refused(package, path, *words, why, inside="", arguments=()):
    return Entry(package, path, None, inside, arguments, words, why)


DROP = ["--drop-nonfinite"]


def exclude(*names):
    return [word for name in names for word in ("--exclude", name)]


TEXT = [
    accepted("python3-sklearn", "datasets/data/iris.csv", table(),
             why="The first line holds the numbers of rows and columns before the names of the classes. pandas reads it "
                 "as names, too."),
    accepted("python3-sklearn", "datasets/data/digits.csv.gz", numbers(delimiter=",")),
    accepted("python3-sklearn", "datasets/data/diabetes_data_raw.csv.gz", numbers()),
    accepted("python3-sklearn", "datasets/data/diabetes_target.csv.gz", numbers()),
    accepted("python3-sklearn", "datasets/data/linnerud_exercise.csv", table(sep=" ")),
    refused("python3-sklearn", "datasets/data/breast_cancer.csv", ":2: 31 fields, where line 1 has 4",
            why="The first line is neither names nor a row."),
    refused("python3-sklearn", "datasets/data/boston_house_prices.csv", ":2: ", "names of the columns", "line 1",
            why="The names are in the second line, under a line of sizes."),
    refused("python3-sklearn", "tests/data/svmlight_invalid_order.txt", ":1: '5:2.5' in column 2",
            why="The format of svmlight has the numbers of columns in the fields."),
    accepted("python3-statsmodels", "datasets/longley/longley.csv", table()),
    accepted("python3-statsmodels", "datasets/modechoice/modechoice.csv", table(sep=";")),
    accepted("python3-statsmodels", "datasets/anes96/anes96.csv", table(sep="\t", quotechar="'"),
             why="Single quotes are around the names."),
    accepted("python3-statsmodels", "datasets/spector/spector.csv", table(sep=r"\s+", quotechar="'")),
    accepted("python3-statsmodels", "datasets/strikes/strikes.csv", table(skipinitialspace=True),
             why="Blanks follow the commas, and numbers begin with the point."),
    accepted("python3-statsmodels", "datasets/co2/co2.csv", table(), arguments=DROP, why="Fields are missing."),
    accepted("python3-statsmodels", "datasets/scotland/scotvote.csv", table(drop=["COUNCILDIST"]),
             arguments=exclude("COUNCILDIST")),
    accepted("python3-statsmodels", "datasets/danish_data/data.csv", table(drop=["period"], encoding="utf-8-sig"),
             arguments=exclude("period"), why="The file begins with a byte order mark."),
    accepted("python3-statsmodels", "datasets/elnino/elnino.csv", table()),
    accepted("python3-statsmodels", "datasets/interest_inflation/E6_jmulti.csv", numbers()),
    accepted("python3-statsmodels", "datasets/randhie/randhie.csv", table()),
    accepted("python3-statsmodels", "datasets/fair/fair.csv", table()),
    accepted("python3-statsmodels", "stats/tests/results/influence_measures_bool_R.csv",
             table(names=["x1", "dfb.1_", "dfb.ggdp", "dfb.lint", "dffit", "cov.r", "cook.d", "hat"], skiprows=1),
             why="R's TRUE and FALSE, and the empty name of its column of names."),
    accepted("python3-statsmodels", "genmod/tests/results/gee_poisson_1.csv", numbers(delimiter=",")),
    refused("python3-statsmodels", "datasets/fertility/fertility.csv", ":2: 'Aruba' in column 1 (Country Name)",
            why="The first columns are text."),
    accepted("python3-numpy", "random/tests/data/mt19937-testset-1.csv", hexadecimal, arguments=["--header", "yes"],
             why="Hexadecimal integers."),
    accepted("python3-numpy", "random/tests/data/pcg64-testset-1.csv", hexadecimal, arguments=["--header", "yes"],
             why="Hexadecimal integers of 64 bits are rounded to double precision."),
    refused("python3-numpy", "random/tests/data/mt19937-testset-1.csv", ":1: ", "say --header yes or --header no",
            why="The first line has a word over a column of numbers and a number over another one."),
    accepted("python-matplotlib-data", "sample_data/percent_bachelors_degrees_women_usa.csv", table()),
    accepted("python-matplotlib-data", "sample_data/data_x_x2_x3.csv", numbers(),
             why="The name ends with .csv, but blanks are between the numbers."),
    accepted("python-matplotlib-data", "sample_data/msft.csv", table(drop=["Date"]), arguments=exclude("Date")),
    accepted("python-matplotlib-data", "sample_data/Stocks.csv", table(drop=["Date"], comment="#"),
             arguments=[*exclude("Date"), *DROP], why="A comment, and missing values."),
    accepted("r-cran-readr", "extdata/mtcars.csv", table()),
    accepted("r-cran-readr", "extdata/mtcars.csv.bz2", table()),
    accepted("r-cran-readr", "extdata/mtcars.csv.zip", table()),
    accepted("r-cran-vroom", "extdata/mtcars.csv.xz", table(drop=["model"]), arguments=exclude("model")),
    refused("r-cran-readr", "extdata/massey-rating.txt", ":3: 13 fields, where line 2 has 14",
            why="The columns have fixed widths, and names of teams have blanks."),
    refused("r-cran-readr", "extdata/challenge.csv", ":1002: '2015-01-16' in column 2 (y)",
            why="A column of dates whose first thousand values are missing."),
    accepted("r-cran-data.table", "tests/melt_1754_synth.csv.bz2", table(as_written=True),
             why="Two columns have one name. pandas would number them."),
    accepted("r-cran-data.table", "tests/fread_blank2.txt", table(nrows=5)),
    accepted("r-cran-data.table", "tests/ch11b.dat.bz2", numbers()),
    refused("r-cran-data.table", "tests/russellCRCRLF.csv", ":4: 'Russell Microcap® Value Index' in column 1",
            why="Text in ISO 8859-1 with CR CR LF at the ends of lines; the message shows it in UTF-8."),
    refused("r-cran-data.table", "tests/utf16le.txt", "UTF-16", "save it in UTF-8", why="UTF-16 is not read."),
    refused("r-cran-data.table", "tests/unescaped.csv", ":3: 4 fields, where line 1 has 3",
            why="A quote that is not doubled. What is meant cannot be known."),
    refused("r-cran-data.table", "tests/536_fread_fill_1.txt", ":6: 2 fields, where line 1 has 3",
            why="Lines that are too short. data.table fills them only with the option fill."),
    accepted("gnuplot-doc", "examples/world.dat", numbers(), why="Blank lines are between the blocks."),
    accepted("gnuplot-doc", "examples/candlesticks.dat", numbers()),
    accepted("gnuplot-doc", "examples/lcdemo.dat", numbers()),
    accepted("gnuplot-doc", "examples/icosahedron.dat", numbers(delimiter=",")),
    accepted("gnuplot-doc", "examples/histopt.dat", table(sep=r"\s+"),
             why="A blank is between the names, and tabs are between the numbers."),
    refused("gnuplot-doc", "examples/timedat.dat", ":2: 27 fields, where line 1 has 6",
            why="Most columns have no name."),
    refused("gnuplot-doc", "examples/finance.dat", ":1: '2/27/2003' in column 1", why="A column of dates."),
    accepted("python3-astropy", "coordinates/tests/accuracy/data/rv.ecsv", table(sep=" ", comment="#"),
             why="A header of comments, as astropy writes it."),
    accepted("python3-astropy", "modeling/tests/data/spec.txt", table(sep=" ", skiprows=1),
             why="The comment holds units for four columns. The table has two."),
    accepted("python3-astropy", "ascii/tests/data/commented_header2.dat",
             table(sep=" ", names=["a", "b", "c"], comment="#"), why="The names are in the last comment."),
    accepted("python3-astropy", "ascii/tests/data/simple2.txt",
             table(sep="|", skipinitialspace=True, names=["obsid", "redshift", "X", "Y", "object", "rad"], skiprows=1,
                   drop=["object"]), arguments=exclude("object")),
    refused("python3-astropy", "ascii/tests/data/simple5.txt", ":4: 5 fields, where line 2 has 6",
            why="astropy calls the file ill-formed."),
    refused("python3-astropy", "ascii/tests/data/fixed_width_2_line.txt", ":4: 5 fields, where line 1 has 4",
            why="The columns have fixed widths, and fields have blanks and quotes."),
    refused("python3-astropy", "ascii/tests/data/no_data_with_header.dat", "has a header, but no rows",
            why="There are no rows."),
    refused("python3-astropy", "ascii/tests/data/html.html", "is an HTML page",
            why="A web page."),
    accepted("r-cran-sm", "smdata/mackerel.dat", table(sep=r"\s+")),
    accepted("r-cran-sm", "smdata/magrem.dat", table(sep=r"\s+")),
    accepted("r-cran-sm", "smdata/trawl.dat", table(sep=r"\s+"), arguments=DROP),
    accepted("r-cran-sm", "smdata/muscle.dat", table(sep=r"\s+", index_col=0),
             why="The header has one name fewer than the rows have fields, as R writes it."),
    refused("r-cran-spatial", "ppdata/towns.dat", ":3: 5 fields, where line 1 has 1",
            why="Three lines of another form stand before the rows."),
    accepted("ggobi", "ggobi/data/tao.csv",
             table(names=["x1", "Year", "Latitude", "Longitude", "Sea.Surface.Temp", "Air.Temp", "Humidity", "UWind",
                          "VWind"], skiprows=1), arguments=DROP),
    accepted("ggobi", "ggobi/data/olive.csv", table(drop=["Area"], index_col=0),
             arguments=["--exclude", "1", "--exclude", "Area"]),
    accepted("dxsamples", "userdata/ibm96.txt", table(sep="\t")),
    accepted("python3-libpysal", "georgia/GData_utm.csv", table()),
    accepted("python3-libpysal", "tokyo/Tokyomortality.txt", table(sep=r"\s+")),
    accepted("python3-libpysal", "wmat/wmat.dat", numbers()),
    refused("python3-libpysal", "desmith/desmith.txt", ":2: ", "names of the columns", "line 1",
            why="The names are in the second line, under a line of sizes."),
    accepted("python3-scipy", "spatial/tests/data/random-uint-data.txt", numbers()),
    accepted("python3-scipy", "spatial/tests/data/selfdual-4d-polytope.txt", numbers()),
    accepted("python3-scipy", "spatial/tests/data/pdist-cosine-ml-iris.txt", lines_of_numbers,
             why="One row of 11175 numbers."),
    refused("python3-scipy", "nist_linregress/Norris.dat", ":2: 4 fields, where line 1 has 2",
            why="Prose stands before the numbers."),
    refused("python3-scipy", "arff/tests/data/iris.arff", "is an ARFF file",
            why="A header describes the columns. The rows below it are CSV."),
    accepted("libncarg-data", "data/asc/climdivcorr.txt", numbers()),
    accepted("libncarg-data", "data/nug/Test_6h.csv", numbers(delimiter=";")),
    refused("libncarg-data", "data/nug/asc2.txt", ":2: 2 fields, where the line before has 1", "a title, remove it",
            why="A title stands over two columns. Its first column is years, which nobody may drop."),
    accepted("veusz", "examples/tutorialdata.csv", table()),
    refused("veusz", "examples/3d_errors.csv", ":202: 'x1' in column 1 (x1) is not a number; the line repeats the names",
            why="Two tables with equal names are in one file."),
    accepted("gle-graphics-library", "examples/3dplots/Zstress.csv", numbers()),
]

NUMPY = [
    accepted("python-matplotlib-data", "axes_grid/bivariate_normal.npy", npy()),
    accepted("python-matplotlib-data", "sample_data/topobathy.npz", npy("topo"), inside="topo"),
    accepted("python-matplotlib-data", "sample_data/goog.npz", npy_records("price_data"), arguments=(),
             why="Records with a date, which is left out."),
    accepted("python3-pywt", "pywt/data/ecg.npy", npy()),
    accepted("python3-pywt", "pywt/data/sst_nino3.npz", npy("sst_csv"), why="An array in Fortran order."),
    accepted("python3-pywt", "pywt/data/camera.npz", npy("data")),
    accepted("python3-scipy", "interpolate/tests/data/estimate_gradients_hang.npy", npy()),
    accepted("python3-scipy", "levy_stable/stable-Z1-pdf-sample-data.npy", npy()),
    accepted("python3-scipy", "levy_stable/stable-loc-scale-sample-data.npy", npy_records(), arguments=()),
    refused("python3-scipy", "linalg/tests/data/carex_6_data.npz", "holds several arrays; choose one as", "A, B, Q, R",
            why="Nothing says which array is meant."),
    accepted("python3-scipy", "linalg/tests/data/carex_6_data.npz", npy("B"), inside="B"),
    refused("python3-numpy", "lib/tests/data/py3-objarr.npy", "elements of type '|O", "are not real numbers",
            why="An array of Python objects."),
    accepted("python3-numpy", "lib/tests/data/win64python2.npy", npy(), why="Python 2 wrote the shape as 2L."),
    refused("python-matplotlib-data", "sample_data/eeg.dat", "is binary, not text",
            why="Numbers without any header."),
]

HDF5 = [
    accepted("python-tables-data", "tests/smpl_f64be.h5", array("TestArray")),
    accepted("python-tables-data", "tests/smpl_i32le.h5", array("TestArray")),
    accepted("python-tables-data", "tests/float.h5", array("float16"), inside="/float16"),
    accepted("python-tables-data", "tests/float.h5", array("longdouble"), inside="/longdouble",
             why="Numbers of 80 bits are rounded to double precision."),
    accepted("python-tables-data", "tests/smpl_enum.h5", array("EnumTest")),
    accepted("python-tables-data", "tests/smpl_SDSextendible.h5", array("ExtendibleArray")),
    accepted("python-tables-data", "tests/test_szip.h5", array("dset_szip"), why="Packed with szip."),
    accepted("python-tables-data", "tests/nested-type-with-gaps.h5", records("nestedtype"),
             why="A record in a record, with gaps between the members."),
    accepted("python-tables-data", "tests/itemsize.h5", records("Test"), why="A record that ends with a gap."),
    accepted("python-tables-data", "tests/idx-std-1.x.h5", records("table"), inside="/table"),
    accepted("python-tables-data", "tests/smpl_compound_chunked.h5", records("CompoundChunked"),
             why="Records with lists."),
    refused("python-tables-data", "tests/Tables_lzo1.h5", "is packed with a filter that is not installed here: lzo",
            why="HDF5 cannot unpack lzo without a plugin."),
    refused("python-tables-data", "tests/vlunicode_endian.h5", "holds no array of numbers; /vlunicode_big is an array of "
            "variable-length elements", why="Rows of different lengths."),
    refused("python-tables-data", "tests/scalar.h5", "holds no array of numbers", why="A single text."),
    accepted("python-tables-data", "tests/matlab_file.mat", matlab("a"), inside="/a", why="MATLAB 7.3."),
    accepted("r-bioc-rhdf5", "testfiles/h5ex_t_cmpd.h5", records("DS1")),
    accepted("r-bioc-rhdf5", "testfiles/h5ex_d_szip.h5", array("DS1")),
    accepted("r-bioc-rhdf5", "testfiles/h5ex_t_enum.h5", array("DS1")),
    refused("r-bioc-rhdf5", "testfiles/h5ex_d_blosc.h5", "is packed with a filter that is not installed here: blosc",
            why="HDF5 cannot unpack blosc without a plugin."),
    accepted("r-bioc-rhdf5", "testfiles/multiple_dtypes.h5", array("foo/B"), inside="/foo/B"),
    refused("r-bioc-rhdf5", "testfiles/multiple_dtypes.h5", "arrays; choose one:", ":/baa",
            why="Nothing says which array is meant."),
    accepted("r-cran-hdf5r", "hdf5r/test-f32.h5", array("floats")),
    accepted("r-cran-hdf5r", "hdf5r/test-scalar.h5", records("Analyses/EventDetection_000/Reads/Read_0/Events"),
             inside="/Analyses/EventDetection_000/Reads/Read_0/Events"),
    accepted("r-bioc-summarizedexperiment", "kallisto/abundance.h5", array("est_counts"), inside="/est_counts"),
    accepted("hdf-compass-doc", "hdf5/tall.h5", array("g1/g1.1/dset1.1.1"), inside="/g1/g1.1/dset1.1.1"),
    accepted("libhe5-hdfeos-dev", "examples/Swath.h5", array("HDFEOS/SWATHS/Swath1/Data Fields/Spectra"),
             inside="/HDFEOS/SWATHS/Swath1/Data Fields/Spectra", why="Three axes: 15 rows of 800 values."),
    accepted("python3-bmtk-examples", "spikes_inputs/tw_spikes.h5", array("spikes/tw/timestamps"),
             inside="/spikes/tw/timestamps"),
    accepted("python3-traitsui", "lib/python3/**/test_fixed.h5", array("data/block0_values"),
             inside="/data/block0_values"),
    refused("python3-h5py-serial", "data_files/vlen_string_dset.h5", "holds no array of numbers; /DS1 is an array of "
            "text elements", why="Text."),
    accepted("libncarg-data", "hdf/MLS-Aura_L2GP-IWC_v02-21-c02_2007d210.he5",
             netcdf("HDFEOS/SWATHS/IWC/Geolocation Fields/SolarZenithAngle"), arguments=DROP,
             inside="/HDFEOS/SWATHS/IWC/Geolocation Fields/SolarZenithAngle", why="HDF-EOS 5, with a fill value."),
]

NETCDF = [
    accepted("gmt-gshhg-low", "binned_GSHHS_c.nc", netcdf("The_km_squared_area_of_polygons"),
             inside="/The_km_squared_area_of_polygons"),
    accepted("gmt-gshhg-low", "binned_river_c.nc", netcdf("N_segments_in_a_bin"), inside="/N_segments_in_a_bin"),
    refused("r-cran-ncmeta", "extdata/gridmet_sample.nc", "1 values missing by _FillValue", "has no value in any row",
            inside="/precipitation_amount", why="Its only value is missing, which _Unsigned and _FillValue tell."),
    accepted("r-cran-stars", "nc/lcc_km.nc", netcdf("y"), inside="/y"),
    accepted("r-cran-stars", "nc/lcc_km.nc", netcdf("prcp"), inside="/prcp", why="A map is one row of 352211 columns."),
    refused("r-cran-ncmeta", "extdata/S2008001.L3m_DAY_CHL_chlor_a_9km.nc", "arrays; choose one:", ":/chlor_a",
            why="Nothing says which array is meant."),
    refused("r-cran-ncmeta", "extdata/daymet_sample.nc", "is a netCDF-3 file; convert it with nccopy",
            why="netCDF-3 is not read."),
    refused("python3-xarray", "tests/data/example_1.nc", "is a netCDF-3 file", why="netCDF-3 is not read."),
    refused("python3-scipy", "io/tests/data/example_2.nc", "is a netCDF-3 file", why="netCDF-3 is not read."),
]

OTHERS = [
    refused("python3-scipy", "matlab/tests/data/testmatrix_7.1_GLNX86.mat", "is a MATLAB 5 file; save it in MATLAB with "
            "the flag -v7.3", why="The format of MATLAB 5 to 7 is not read."),
    refused("python3-scipy", "matlab/tests/data/testvec_4_GLNX86.mat", "is a MATLAB 4 file", why="MATLAB 4 is not read."),
    refused("python3-scipy", "matlab/tests/data/testdouble_4.2c_SOL2.mat", "is a MATLAB 4 file",
            why="MATLAB 4 of another byte order."),
    refused("octave-tsa", "eeg8s.mat", "is a MATLAB 4 file", why="Octave wrote the format of MATLAB 4."),
    refused("octave-statistics", "datasets/hald.mat", "is an Octave file", why="The binary format of Octave."),
    refused("python-cobra-data", "data/raven.mat", "is a MATLAB 5 file", why="The format of MATLAB 5 to 7 is not read."),
    refused("python3-astropy", "fits/tests/data/tb.fits", "is a FITS file; save its table as CSV, NPY or HDF5",
            why="FITS is not read."),
    refused("r-cran-readxl", "extdata/datasets.xlsx", "is an Excel workbook; save it as CSV", why="Excel is not read."),
    refused("r-cran-readxl", "extdata/datasets.xls", "is an old Excel or Office file; save it as CSV",
            why="Excel is not read."),
    refused("octave-io", "templates/template.ods", "is a spreadsheet or document of LibreOffice; save it as CSV",
            why="LibreOffice is not read."),
    refused("python3-pandas", "parquet/simple.parquet", "is a Parquet file; save it as CSV, NPY or HDF5",
            why="Parquet is not read."),
    refused("python3-pandas", "pickle/test_py27.pkl", "a Python pickle", why="A pickle can run programs."),
    refused("python-cobra-data", "data/mini.pickle", "a Python pickle", why="A pickle can run programs."),
    refused("python3-joblib", "joblib_0.11.0_pickle_py36_np111.pkl.xz", "a Python pickle", why="A packed pickle."),
    refused("r-cran-haven", "examples/iris.dta", "is a Stata file; save it as CSV", why="Stata is not read."),
    refused("python3-statsmodels", "results/data_missing.dta", "is a Stata file; save it as CSV",
            why="An old format of Stata."),
    refused("r-cran-haven", "examples/iris.sav", "is an SPSS file; save it as CSV", why="SPSS is not read."),
    refused("r-cran-haven", "examples/iris.sas7bdat", "is a SAS file; save it as CSV", why="SAS is not read."),
    refused("python3-scipy", "io/tests/data/array_float32_3d.sav", "is an IDL file", why="IDL is not read."),
    refused("r-cran-data.table", "tests/test1372.Rdata", "is an RData file; save the table in R with write.csv",
            why="RData is not read."),
    refused("r-cran-hdf5r", "hdf5r/Meta/package.rds", "is an RDS file; save the table in R with write.csv",
            why="RDS is not read."),
    refused("libncarg-data", "hdf/avhrr.hdf", "is an HDF4 file; convert it with h4toh5", why="HDF4 is not read."),
    refused("libncarg-data", "grb/wafsgfs_L_t06z_intdsk60.grib2", "is a GRIB file; convert it to netCDF-4",
            why="GRIB is not read."),
    refused("python3-scipy", "io/tests/data/fortran-3x3d-2i.dat", "is binary, not text",
            why="Records of Fortran without any header."),
]

FILES = TEXT + NUMPY + HDF5 + NETCDF + OTHERS
